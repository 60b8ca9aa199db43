"""What is preloaded works in a process in which cwltool has done nothing yet: it is the first thing there."""

from __future__ import annotations

import subprocess
import sys


def test_preloading_works_in_a_new_process() -> None:
    program = "from cwl_ui_plugin.cwl.engine import execution, run_settings; run_settings.preload()"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
