"""What tasks hand on to each other names only files that the run may read: users of Airflow can change it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.cwl.engine.confines import Confines
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.jobs.types import FileRules
from cwl_ui_plugin.dags.access.file_access import check_values
from cwl_ui_plugin.library.store import WorkflowStore


def check(folder: Path, item: Any) -> None:
    rules = FileRules(folder, (folder / "in",), closed=(folder / "in/closed",))
    confines = Confines(rules, (folder / "own",))
    check_values({"#step/out": [item, "success"]}, confines.allows)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("in/closed", "own/x", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "in/link").symlink_to(tmp_path / "elsewhere")
    return tmp_path


def file(location: Any, **more: Any) -> dict[str, Any]:
    return {"class": "File", "location": location, **more}


def test_a_run_reads_its_own_files_and_what_its_job_may_name(folder: Path) -> None:
    for place in ("own/x/a b.txt", "own/x/ä%.txt", "in/a.txt"):
        check(folder, file((folder / place).as_uri()))
        check(folder, {"class": "Directory", "path": str(folder / place)})
    check(folder, [file("_:123", contents="x"), {"location": "/etc/shadow"}, "file:///etc/shadow"])


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/shadow",
        "/etc/shadow",
        "{}/own/../elsewhere/a",
        "file://{}/own/%2e%2e/elsewhere/a",
        "file://{}/own/x#/../../elsewhere/a",
        "{}/own2/a",
        "{}/in/closed/a",
        "{}/in/link/a",
        "{}/in",
        "../elsewhere/a",
        "a",
        "FILE:///etc/shadow",
        "file:/etc/shadow",
        "ftp://host/a",
        "http://host/a",
        "",
        7,
        ["/etc/shadow"],
    ],
)
def test_it_reads_nothing_else(folder: Path, location: Any) -> None:
    target = location.format(folder) if isinstance(location, str) else location
    for item in (
        file(target),
        {"class": "File", "path": target},
        file((folder / "own/x").as_uri(), path=target),
        {"a": [file((folder / "own/x").as_uri(), secondaryFiles=[file(target)])]},
        {"class": "Directory", "listing": [file(target)]},
    ):
        with pytest.raises(JobError, match="may not read"):
            check(folder, item)


def test_tasks_hand_on_nothing_that_is_on_the_network(folder: Path) -> None:
    with pytest.raises(JobError):
        check(folder, file("https://host/a"))


def test_the_last_task_delivers_nothing_else(
    store: WorkflowStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from cwl_ui_plugin.dags.dag import CWLDAG

    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "tmp"))
    plan = replace(plan_of("sort", "count"), output_sources=("#sort/out",))
    dag = CWLDAG("wf", version=add_version(store, "wf", plan, "one"))
    operator: Any = dag.get_task("CWLJobGatherer")
    operator.source_tasks = ("sort",)
    values = {"#sort/out": [file("file:///etc/shadow"), "success"]}
    pushed: dict[str, Any] = {}
    ti = SimpleNamespace(
        xcom_pull=lambda **_which: values,
        xcom_push=lambda key, value: pushed.update({key: value}),
        id="1",
        dag_id="wf",
        run_id="r",
        task_id="CWLJobGatherer",
        map_index=-1,
        try_number=1,
    )
    now = datetime.now(timezone.utc)
    run = SimpleNamespace(dag_id="wf", run_id="r", run_type="manual", conf={"job": {}}, run_after=now, clear_number=0)
    context: Any = {"dag_run": run, "ti": ti}
    with pytest.raises(AirflowFailException, match="/etc/shadow"):
        operator.execute(context)
    assert "may not read" in pushed["cwl_error"]["message"]
