"""A batch on a real server, by the command: samples that run, one that fails, one that can't start; stop and retry."""

from __future__ import annotations

import csv
import io
import shutil
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.airflow_server import Server, wait_for

pytestmark = pytest.mark.e2e
TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c]
inputs: {reads: "File[]", seconds: {type: int, default: 0}, go_on: string}
arguments:
  - sleep $(inputs.seconds); test -e $(inputs.go_on) || exit 3; cat $(inputs.reads[0].path) $(inputs.reads[1].path)
outputs: {joined: {type: stdout}}
stdout: joined.txt
"""
API = "/cwl/api/v1/workflows"
SECONDS = 300


@pytest.fixture(scope="module")
def folder(server: Server) -> Iterator[Path]:
    """A folder with the files of the samples."""
    place = server.home / "cwl/inputs" / f"samples-{uuid.uuid4().hex[:8]}"
    place.mkdir(parents=True)
    for sample in ("a", "b", "c", "d"):
        for number in (1, 2):
            (place / f"{sample}_{number}.fq").write_text(f"{sample}{number}\n")
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def workflow(server: Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    dag_id = f"batch-{uuid.uuid4().hex[:8]}"
    path = tmp_path_factory.mktemp("wf") / "join.cwl"
    path.write_text(TOOL)
    server.command("upload", path, "--dag-id", dag_id)
    return dag_id


def sheet_of(folder: Path, samples: str, **more: Any) -> str:
    head = ["sample", "fastq_1", "fastq_2", *more]
    lines = [[name, f"{name}_1.fq", f"{name}_2.fq", *more.values()] for name in samples]
    return "\n".join(",".join(map(str, line)) for line in [head, *lines]) + "\n"


def batch_of(client: httpx.Client, workflow: str, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"{API}/{workflow}/batches/{batch_id}").json()
    return found


def states_of(client: httpx.Client, workflow: str, batch_id: str) -> dict[str, str]:
    return {row["name"]: row["state"] for row in batch_of(client, workflow, batch_id)["rows"]}


def test_samples_run_fail_and_run_again(
    server: Server, client: httpx.Client, workflow: str, folder: Path, tmp_path: Path
) -> None:
    marker, sheet = folder / "go-on", tmp_path / "samples.csv"
    sheet.write_text(sheet_of(folder, "abx") + "c,c_1.fq,c_2.fq\n")
    common = ("--folder", folder.name, "--constant", f"go_on={marker}", "--name", "Friday", "--max-active", "2")
    refused = server.command("batch", workflow, sheet, *common, check=False)
    assert refused.returncode == 1
    assert "row 4, column fastq_1: " in refused.stderr
    assert f"there is no file {folder.name}/x_1.fq" in refused.stderr
    assert "nothing was started" in refused.stderr
    assert client.get(f"{API}/{workflow}/batches").json()["total"] == 0

    made = server.command("batch", workflow, sheet, *common, "--start", "good", "--wait", check=False)
    assert made.returncode == 1, made.stderr
    batch_id = made.stdout.splitlines()[0]
    assert states_of(client, workflow, batch_id) == {"a": "failed", "b": "failed", "x": "invalid", "c": "failed"}
    (run,) = client.get("/cwl/api/v1/runs", params={"dag_id": workflow, "limit": 1}).json()["runs"]
    assert (run["title"], run["tags"]) == ("c", ["Friday"])

    marker.write_text("")
    again = server.command("batch", workflow, "--retry", batch_id, "--wait", check=False)
    assert again.returncode == 0, again.stderr
    batch = batch_of(client, workflow, batch_id)
    assert (batch["state"], batch["counts"]) == ("success", {"success": 3, "invalid": 1})
    assert [row["attempt"] for row in batch["rows"]] == [2, 2, 1, 2]
    steps = [[step["state"] for step in row["steps"]] for row in batch["rows"]]
    assert steps == [["success"], ["success"], [], ["success"]]

    server.command("batch", workflow, "--outputs", batch_id, "--to", tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        found = {name: archive.read(name).decode() for name in archive.namelist()}
    assert found == {f"{name}/joined.txt": f"{name}1\n{name}2\n" for name in "abc"}
    server.command("batch", workflow, "--outputs", batch_id, "--to", tmp_path / "all.csv")
    table = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text())))
    assert [Path(row["joined"]).read_text()[:1] if row["joined"] else "" for row in table] == ["a", "b", "", "c"]


def test_a_stop_ends_all_that_runs_and_what_has_not_begun_never_does(
    server: Server, client: httpx.Client, workflow: str, folder: Path, tmp_path: Path
) -> None:
    sheet = tmp_path / "samples.tsv"
    sheet.write_text(sheet_of(folder, "abcd", seconds=600).replace(",", "\t"))
    common = ("--folder", folder.name, "--constant", f"go_on={folder}", "--max-active", "2")
    batch_id = server.command("batch", workflow, sheet, *common).stdout.strip()

    def both_run() -> bool:
        return batch_of(client, workflow, batch_id)["counts"] == {"running": 2, "pending": 2}

    wait_for(both_run, SECONDS, "that two samples run")
    stopped = server.command("batch", workflow, "--stop", batch_id)
    assert "4 stopped" in stopped.stdout, stopped.stdout
    batch = batch_of(client, workflow, batch_id)
    assert (batch["state"], batch["counts"], batch["stopped_by"]) == ("stopped", {"stopped": 4}, server.user)
    assert client.get("/cwl/api/v1/runs", params={"dag_id": workflow, "state": "running"}).json()["total"] == 0

    # Two samples once more, this time for a moment only.
    listed = server.command("batch", workflow).stdout
    assert listed.startswith(batch_id)
    rows = ",".join(str(row["number"]) for row in batch["rows"][2:])
    server.command("batch", workflow, "--retry", batch_id, "--rows", rows)

    def again() -> bool:
        return batch_of(client, workflow, batch_id)["counts"] == {"running": 2, "stopped": 2}

    wait_for(again, SECONDS, "that the other two run")
    client.post(f"{API}/{workflow}/batches/{batch_id}/stop", params={"wait": False})
    wait_for(lambda: batch_of(client, workflow, batch_id)["state"] == "stopped", SECONDS, "the stop")
