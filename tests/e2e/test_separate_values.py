"""Files go from step to step between workers that share no folder, by the store alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from conformance import own_runner, run_suite
from support.separate_workers import BUCKET, CONFORMANCE, SeparateWorkers

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]
CHOSEN = (
    "wf_wc_parseInt",
    "wf_wc_scatter_multiple_merge",
    "nested_workflow",
    "directory_input_param_ref",
    "workflow_records_inputs_and_outputs",
    "secondary_files_in_named_records",
    "legal_symlink",
    "listing_loadListing_deep",
    "wf_two_inputfiles_namecollision",
    "exprtool_file_literal",
)
"""Tests whose steps hand on files, of each kind."""


def test_tests_of_the_conformance_suite_pass(separate: SeparateWorkers, tmp_path: Path) -> None:
    suite = CONFORMANCE / "conformance_tests.yaml"
    runner = own_runner(tmp_path)
    results = run_suite(suite, runner, tmp_path, jobs=4, only=",".join(CHOSEN), server=separate.server)
    assert results == dict.fromkeys(CHOSEN, "passed"), (tmp_path / "cwl-ui-plugin.log").read_text()[-10_000:]
    keys = [entry["Key"] for entry in separate.store.client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert any(key.startswith("runs/sha256/") for key in keys)
    with separate.server.client() as client:
        query = {"dag_run_id_pattern": "", "limit": 1000}
        tasks = client.get("/api/v2/dags/~/dagRuns/~/taskInstances", params=query).json()["task_instances"]
    machines = {task["hostname"] for task in tasks if task["state"] == "success"}
    assert len(machines) == len(separate.workers), "both workers have had tasks"
