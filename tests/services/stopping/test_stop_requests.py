"""What a stop answers: to who asked for it, to ``clean_dag_run``, and to who watches how far it is."""

from __future__ import annotations

import fcntl
import time
from dataclasses import replace
from typing import Any

import pytest

from cwl_ui_plugin.dags.folders import control_files, run_folder
from cwl_ui_plugin.dags.stopping import stop_orders, tombstones
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest
from cwl_ui_plugin.services.errors import NotFound, StopIncomplete
from cwl_ui_plugin.services.run_models import StopReport
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.stopping.database_state import which_run

pytestmark = pytest.mark.usefixtures("no_supervisors")


def test_a_stop_says_in_words_what_it_has_done(workflow: str, run_id: str, airflow: Any) -> None:
    report = stops.stop_run(workflow, run_id, user="ada")
    assert report.message == "The run is stopped; tasks set to failed: 4. None of its processes is left."
    assert (report.dag_id, report.run_id, report.user, report.removed) == (workflow, run_id, "ada", False)
    again = stops.stop_run(workflow, run_id, user="eve")
    assert again.message == "The run had ended already; none of its processes is left."
    assert (again.user, again.stopped) == ("ada", ())
    airflow.set_task(workflow, run_id, "sort", state="queued")
    assert stops.stop_run(workflow, run_id, user="eve").message.startswith(
        "The run is stopped; tasks set to failed: 1."
    )
    gone = stops.stop_run(workflow, run_id, user="eve", remove=True)
    assert gone.message == "The run had ended already; none of its processes is left. It was removed."
    assert gone.removed
    none = stops.stop_run(workflow, run_id, user="eve", remove=True)
    assert (none.message, none.removed) == ("There is no such run: nothing to stop.", False)


def test_a_stop_of_a_run_that_was_replaced_meanwhile_touches_nothing(workflow: str, run_id: str) -> None:
    which = which_run(workflow, run_id)
    assert which is not None
    report = stops.stop_run(workflow, run_id, user="ada", remove=True, which=replace(which, row=which.row + 1))
    assert (report.message, report.removed) == ("There is no such run: nothing to stop.", False)
    assert tombstones.find(workflow, run_id) is None
    assert which_run(workflow, run_id) == which
    assert stops.stop_run(workflow, run_id, user="ada", remove=True, which=which).removed


@pytest.mark.parametrize("kept", [True, False])
def test_intermediate_files_go_with_a_stop_that_had_something_to_end(
    workflow: str, run_id: str, airflow: Any, kept: bool
) -> None:
    if kept:
        for task in ("CWLJobDispatcher", "sort", "count", "CWLJobGatherer"):
            airflow.set_task(workflow, run_id, task, state="success")
        airflow.set_run(workflow, run_id, "success")
    folder = run_folder.run_tmp(workflow, run_id)
    folder.mkdir(parents=True)
    stops.stop_run(workflow, run_id, user="ada")
    assert folder.exists() is kept
    stops.stop_run(workflow, run_id, user="ada", remove=True)
    assert not folder.exists()


def test_a_later_run_of_a_removed_name_may_start(workflow: str, run_id: str) -> None:
    stops.stop_run(workflow, run_id, user="ada", remove=True)
    stone = tombstones.find(workflow, run_id)
    assert stone is not None
    assert stone.last is not None


def test_how_far_a_stop_is(folders: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stops.progress("d", "r") is None
    began = time.time() - 90
    order = StopRequest("d", "r", "ada", began, 0.5, True, "7", "elsewhere-1", 0, left=("worker-7: pid 5",))
    stop_orders.write_request(order)
    found = stops.progress("d", "r")
    assert found is not None
    assert (found.user, found.left) == ("ada", ("worker-7: pid 5",))
    assert found.seconds >= 90
    stop_orders.write_request(replace(order, began=time.time() + 3600))
    ahead = stops.progress("d", "r")
    assert ahead is not None
    assert ahead.seconds == 0, "the clock of another machine is ahead"
    (folders / "file").touch()
    monkeypatch.setenv("AIRFLOW__CWL__TMP_FOLDER", str(folders / "file"))
    assert stops.progress("d", "r") is None


def request(conf: dict[str, Any], user: str = "portal") -> stops._Request:
    return stops._Request("clean-1", 1, conf, user)


WANTED = {"remove_dag_id": "d", "remove_run_id": "r"}


@pytest.mark.parametrize(
    "conf", [{}, {"remove_dag_id": "d"}, {**WANTED, "remove_run_id": 3}, {**WANTED, "remove_dag_id": None}]
)
def test_a_request_that_names_no_run_is_refused(conf: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops, "stop_run", lambda *_arguments, **_options: pytest.fail("stopped"))
    answer = {"ok": False, "message": "The conf must name remove_dag_id and remove_run_id.", "left": []}
    assert stops._result(request(conf)) == answer


@pytest.mark.parametrize(
    ("raised", "answer"),
    [
        (None, {"ok": True, "message": "done", "left": []}),
        (StopIncomplete("not yet", ("pid 1",)), {"ok": False, "message": "not yet", "left": ["pid 1"]}),
        (NotFound("no such"), {"ok": False, "message": "no such", "left": []}),
        (
            RuntimeError("secret"),
            {"ok": False, "message": "The stop failed in the API server; its log says why.", "left": []},
        ),
    ],
)
@pytest.mark.parametrize(("user", "by"), [("portal", "portal"), ("", "clean_dag_run")])
def test_a_request_is_answered_whatever_becomes_of_the_stop(
    monkeypatch: pytest.MonkeyPatch, raised: Exception | None, answer: dict[str, Any], user: str, by: str
) -> None:
    asked: list[tuple[str, str, str]] = []

    def stop(dag_id: str, run_id: str, *, user: str) -> StopReport:
        asked.append((dag_id, run_id, user))
        if raised:
            raise raised
        return StopReport(dag_id, run_id, (), 0.0, "done")

    monkeypatch.setattr(stops, "stop_run", stop)
    assert stops._result(request(WANTED, user)) == answer
    assert asked == [("d", "r", by)]


@pytest.fixture
def asking(store: Any, airflow: Any) -> str:
    """The id of a run of ``clean_dag_run`` whose task waits for an answer."""
    from cwl_ui_plugin.dags.registration import register
    from cwl_ui_plugin.services.triggering import triggers

    register("clean_dag_run")
    triggers.trigger("clean_dag_run", conf=WANTED, run_id="asks", user="portal", via=triggers.REST)
    airflow.set_task("clean_dag_run", "asks", "clean_dag_run", state="running", try_number=1)
    yield "asks"  # type: ignore[misc]
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session

    with create_session() as session:
        session.query(DagRun).filter_by(dag_id="clean_dag_run").delete()


def open_requests() -> list[tuple[str, int]]:
    return [found.key for found in stops._open_requests()]


def test_only_a_task_that_waits_is_answered(asking: str, airflow: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = stops._open_requests()
    assert (found.key, found.conf, found.user) == ((asking, 1), WANTED, "portal")
    monkeypatch.setattr(stops, "_result", lambda _request: {"ok": True, "message": "m", "left": []})
    stops._answer(replace(found, try_number=2))
    assert open_requests() == [(asking, 1)], "that try does not wait"
    stops._answer(found)
    assert open_requests() == []
    assert not control_files.run_control("clean_dag_run", asking).exists()


@pytest.mark.parametrize("state", ["success", "queued"])
def test_one_that_does_not_run_asks_for_nothing(asking: str, airflow: Any, state: str) -> None:
    airflow.set_task("clean_dag_run", asking, "clean_dag_run", state=state)
    assert open_requests() == []


def test_another_api_server_that_answers_is_left_to_it(asking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops, "_result", lambda _request: pytest.fail("answered twice"))
    folder = control_files.run_control("clean_dag_run", asking)
    folder.mkdir(parents=True)
    (found,) = stops._open_requests()
    stops._answering.add(found.key)
    with (folder / "1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stops._answer(found)
    assert open_requests() == [(asking, 1)]
    assert found.key not in stops._answering


def test_no_more_are_answered_at_once_than_the_bound(asking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stops, "_answer", lambda request: stops._answering.discard(request.key))
    monkeypatch.setattr(stops, "MAX_ANSWERING", 0)
    assert stops.answer_stop_requests() == 0
    monkeypatch.setattr(stops, "MAX_ANSWERING", 1)
    assert stops.answer_stop_requests() == 1


@pytest.mark.parametrize(
    ("name", "is_one"), [("r", True), ("manual__2026", True), ("", False), ("a/b", False), ("a\0b", False)]
)
def test_only_what_can_be_a_name_has_a_folder(name: str, is_one: bool) -> None:
    assert stops._is_name(name) is is_one
