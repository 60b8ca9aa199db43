"""Steps in real containers, through a real Airflow; a stop leaves none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.airflow_server import Server, wait_for
from support.families import Family
from support.podman import IMAGE, IMAGE_FILE, IMAGE_TEXT, Podman

pytestmark = pytest.mark.e2e

WORKFLOW = f"""
cwlVersion: v1.2
class: Workflow
requirements: {{ScatterFeatureRequirement: {{}}, DockerRequirement: {{dockerPull: "{IMAGE}"}}}}
inputs: {{names: "string[]"}}
outputs: {{out: {{type: File, outputSource: join/out}}}}
steps:
  read:
    run:
      class: CommandLineTool
      baseCommand: [cat, {IMAGE_FILE}]
      inputs: {{name: string}}
      outputs: {{out: {{type: stdout}}}}
      stdout: $(inputs.name)
    scatter: name
    in: {{name: names}}
    out: [out]
  join:
    run:
      class: CommandLineTool
      baseCommand: cat
      inputs: {{files: {{type: "File[]", inputBinding: {{}}}}}}
      outputs: {{out: {{type: stdout}}}}
      stdout: joined
    in: {{files: read/out}}
    out: [out]
"""
SLEEPER = f"""
cwlVersion: v1.2
class: CommandLineTool
requirements: {{DockerRequirement: {{dockerPull: "{IMAGE}"}}}}
baseCommand: [sleep, "600"]
inputs: {{}}
outputs: {{}}
"""


def test_a_workflow_runs_in_containers(podman: Podman, impatient: Server, tmp_path: Path) -> None:
    (tmp_path / "contained.cwl").write_text(WORKFLOW)
    (tmp_path / "job.json").write_text(json.dumps({"names": ["one", "two"]}))
    result = impatient.command("run", tmp_path / "contained.cwl", tmp_path / "job.json", "--outdir", tmp_path / "out")
    assert (tmp_path / "out" / "joined").read_text() == 2 * IMAGE_TEXT, result.stdout
    assert podman.containers() == []


@pytest.mark.parametrize("victims", [(), ("task",), ("task", "supervisor")], ids="-".join)
def test_a_stop_leaves_no_container(
    podman: Podman, impatient: Server, tmp_path: Path, victims: tuple[str, ...]
) -> None:
    (tmp_path / "contained-sleeper.cwl").write_text(SLEEPER)
    impatient.command("upload", tmp_path / "contained-sleeper.cwl", "--replace")
    run = Family("contained-sleeper")
    with impatient.client() as client:
        runs = f"/cwl/api/v1/workflows/{run.dag_id}/runs"
        client.post(runs, json={"run_id": run.run_id, "job": {}}).raise_for_status()
        wait_for(podman.containers, 90, "the container")
        run.kill(*victims)
        answer = run.stop(client)
        assert answer.status_code == 200, answer.text
        assert podman.containers() == []
        assert run.marked() == []
        assert client.get(f"{runs}/{run.run_id}").json()["state"] == "failed"
