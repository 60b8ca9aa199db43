"""Values that are too large for an XCom, between machines that share nothing but a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.staged import Machines

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.dags import handing_on
from cwl_ui_plugin.dags.folders import kept_values

RUN = ("dag", "run")
VALUES = {"#main/numbers": [list(range(5_000)), "success"]}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handing_on, "LARGE", 1000)
    monkeypatch.setattr(handing_on, "LOADED", 1000)


def handed_on(task: Any) -> Any:
    return json.loads(json.dumps(handing_on.as_xcom(RUN, VALUES, task)))


def test_a_value_comes_to_another_machine(machines: Machines) -> None:
    one = machines.task("one")
    xcom = handed_on(one)
    assert machines.names() == [f"cwl/sha256/{xcom[handing_on.KEPT]['sha256'][:2]}/{xcom[handing_on.KEPT]['sha256']}"]
    one.close()
    two = machines.task("two")
    machines.server.asked.clear()
    values = handing_on.values_of(RUN, xcom, two)
    assert handing_on.in_memory(values) == VALUES
    assert len(machines.asked("GET")) == 1, "it is fetched once"
    two.close()
    assert not [path for path in two.task.folder.rglob("*") if path.is_file()]


def test_a_server_keeps_what_it_has_fetched(machines: Machines, tmp_path: Path) -> None:
    xcom = handed_on(machines.task("one"))
    machines.monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "server"))
    assert handing_on.in_memory(handing_on.shown_values(RUN, xcom)) == VALUES
    machines.server.asked.clear()
    assert handing_on.in_memory(handing_on.shown_values(RUN, xcom)) == VALUES
    assert machines.asked("GET") == []
    assert [run for run, _folder in kept_values.runs_with_values()] == [RUN]
    assert not list((tmp_path / "server/.values").glob(".*"))


def test_a_run_reads_no_value_of_another_one(machines: Machines, tmp_path: Path) -> None:
    xcom = handed_on(machines.task("one"))
    two = machines.task("two", run="other")
    with pytest.raises(StepError, match="No task of this run has said to hand on"):
        handing_on.values_of(("dag", "other"), xcom, two)
    machines.monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(tmp_path / "server"))
    assert handing_on.shown_values(("dag", "other"), xcom) is None


def test_what_is_gone_from_the_store_may_come_back(machines: Machines) -> None:
    xcom = handed_on(machines.task("one"))
    (key,) = machines.names()
    machines.server.client.delete_object(Bucket="intermediate", Key=key)
    with pytest.raises(StepError) as told:
        handing_on.values_of(RUN, xcom, machines.task("two"))
    assert told.value.kind == "temporaryFail"
