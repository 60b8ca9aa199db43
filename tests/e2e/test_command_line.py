"""Commands that start servers of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from support.airflow_server import Server, standalone, wait_for

from cwl_ui_plugin.signing import keys, tokens

pytestmark = pytest.mark.e2e


def family(pid: int) -> set[tuple[int, str]]:
    """Return the living descendants of a process, with their starts, which tell reused pids apart."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := status(int(entry.name))):
            parents[int(entry.name)] = (int(fields[1]), fields[19])
    found: set[tuple[int, str]] = set()
    wanted = {pid}
    while wanted:
        children = {(child, start) for child, (parent, start) in parents.items() if parent in wanted}
        found |= children
        wanted = {child for child, _start in children}
    return found


def status(pid: int) -> list[str]:
    """Return the fields of /proc/[pid]/stat from the state on; nothing for a process that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
    return [] if fields[0] in "ZX" else fields


def living(processes: set[tuple[int, str]]) -> list[int]:
    return [pid for pid, start in processes if (fields := status(pid)) and fields[19] == start]


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.again("by SIGTERM")), signal.SIGKILL]
)
def test_standalone_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    with standalone(tmp_path / "home", "simple") as server:
        ready = tmp_path / "home.ready.json"
        assert ready.stat().st_mode & 0o777 == 0o600
        processes = family(server.pid)
        assert len(processes) >= 5
        os.kill(server.pid, number)
        wait_for(lambda: not living(processes), 90, "the end of all processes")


INDEXED = """
cwlVersion: v1.2
class: CommandLineTool
requirements: {InlineJavascriptRequirement: {}}
baseCommand: [sh, -c, 'ls "$(dirname "$0")" "$(dirname "$1")"']
inputs:
  bam:
    type: File
    secondaryFiles: PATTERNS
    inputBinding: {valueFrom: '$([self.path, self.secondaryFiles[0].path])'}
outputs: {out: stdout}
stdout: out.txt
"""


@pytest.mark.parametrize(
    ("patterns", "name"), [("[.bai]", "S1.bam.bai"), ("['$(\"index_of_\" + self.basename)']", "index_of_S1.bam")]
)
def test_exactly_the_secondary_files_that_are_named_are_sent(
    server: Server, tmp_path: Path, patterns: str, name: str
) -> None:
    (tmp_path / "data").mkdir()
    for file in ("S1.bam", "S1.bam.bai", "index_of_S1.bam", *(f"S1{number}.bam" for number in range(80))):
        (tmp_path / "data" / file).write_text("")
    (tmp_path / "tool.cwl").write_text(INDEXED.replace("PATTERNS", patterns))
    (tmp_path / "job.yml").write_text("bam: {class: File, location: data/S1.bam}\n")
    folders = server.home / "cwl" / "inputs" / "uploads"
    before = set(folders.rglob("*"))
    server.command("run", tmp_path / "tool.cwl", tmp_path / "job.yml", "--outdir", tmp_path / "out")
    sent = {path.name for path in set(folders.rglob("*")) - before if path.is_file() and not path.name.startswith(".")}
    assert sent == {"S1.bam", name}


def test_the_report_server_says_whether_a_signature_holds(tmp_path: Path) -> None:
    pair, other = keys.generate_key_pair("RS256"), keys.generate_key_pair("RS256")
    (tmp_path / "key.pub").write_text(pair.public)
    command = [sys.executable, "-m", "cwl_ui_plugin.cli.main", "report-server", "--port", "0"]
    command += ["--public-key", str(tmp_path / "key.pub")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            port = int(process.stdout.readline().strip().rsplit(":", 1)[1])
            url = f"http://127.0.0.1:{port}/satellite/v1/status"
            for private, verified in ((pair.private, "yes"), (other.private, "no")):
                payload = tokens.sign({"run_id": "r", "state": "running"}, private, "RS256")
                assert httpx.post(url, json={"payload": payload}, trust_env=False).is_success is (verified == "yes")
                entry = json.loads(process.stdout.readline())
                assert entry["route"] == "status"
                assert entry["verified"].startswith(verified)
        finally:
            process.terminate()
