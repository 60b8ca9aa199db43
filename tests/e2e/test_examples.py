"""The examples do what README says they do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.airflow_server import ROOT, Server

pytestmark = pytest.mark.e2e
EXAMPLES = ROOT / "examples"


def test_the_demo_goes_through(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    result = subprocess.run(
        [sys.executable, EXAMPLES / "demo.py"],
        env={**environment, "DEMO_EXIT": "1", "PORTAL": "1", "DEMO_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    assert "The demo went through." in result.stdout
    assert "The portal has the results: http://" in result.stdout


@pytest.mark.bioinformatics
def test_variants_are_called_in_real_reads(server: Server, tmp_path: Path) -> None:
    missing = [tool for tool in ("bwa", "samtools", "bcftools") if shutil.which(tool) is None]
    if missing and os.environ.get("CI") != "true":
        pytest.skip(f"{', '.join(missing)} can't be found; see tests/system-packages.sh")
    folder = EXAMPLES / "variant-calling"
    result = server.command("run", "--quiet", folder / "variant-calling.cwl", folder / "job.yml", "--outdir", tmp_path)
    outputs = json.loads(result.stdout)
    texts = [Path(item["path"]) for item in outputs.values() if isinstance(item, dict) and "vcf" in item["basename"]]
    called = subprocess.run(["bcftools", "view", "-H", texts[0]], capture_output=True, text=True, check=True).stdout
    assert all(line.startswith("gi|9626243|ref|NC_001416.1|") for line in called.splitlines())
    assert len(called.splitlines()) > 0
