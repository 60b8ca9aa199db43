"""Continuing a run: what failed and what follows it is cleared, once, and only while what it needs is there."""

from __future__ import annotations

import errno
import json
import os
import threading
from typing import Any

import pytest
from support.failed_run import Failed
from support.interleaving import ThreadActor, orders
from support.stored import set_run, set_task

from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.folders import control_files, intermediate, run_folder
from cwl_ui_plugin.dags.stopping import run_termination
from cwl_ui_plugin.services.cleaning import cleanup
from cwl_ui_plugin.services.continuing import continues
from cwl_ui_plugin.services.errors import Conflict, NotFound, Unavailable
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.stopping.database_state import remove_files


def clear_number(failed: Failed) -> int:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        return int(session.scalar(select(DagRun.clear_number).where(DagRun.run_id == failed.run_id)) or 0)


def test_what_failed_and_what_follows_runs_again(failed: Failed) -> None:
    assert continues.continuation(failed.dag_id, failed.run_id).why_not is None
    done = continues.continue_run(failed.dag_id, failed.run_id, user="ada")
    assert sorted(done.cleared) == sorted(["last", names.GATHERER])
    assert failed.states() == {
        names.DISPATCHER: "success",
        "sort": "success",
        "count": "success",
        "last": "None",
        names.GATHERER: "None",
        "": "queued",
    }
    assert clear_number(failed) == 1


def test_the_audit_log_says_who_it_was(failed: Failed) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    continues.continue_run(failed.dag_id, failed.run_id, user="ada")
    with create_session(scoped=False) as session:
        entry = session.scalars(select(Log).where(Log.run_id == failed.run_id, Log.event == continues.EVENT)).one()
        assert (entry.owner, json.loads(entry.extra or "")) == ("ada", {"tasks": 2})


def test_files_that_nobody_needs_now_may_be_gone(failed: Failed) -> None:
    failed.remove("sort")
    assert continues.continuation(failed.dag_id, failed.run_id).why_not is None


def test_files_that_it_needs_are_named_before(failed: Failed) -> None:
    failed.remove("count")
    found = continues.continuation(failed.dag_id, failed.run_id)
    assert [(file.name, file.task) for file in found.missing] == [("out.txt", "count")]
    with pytest.raises(Conflict, match=r"out.txt \(made by count\). Run it again"):
        continues.continue_run(failed.dag_id, failed.run_id, user="ada")
    assert failed.states()[""] == "failed"


def test_secrets_that_are_gone_are_named(failed: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cwl_ui_plugin.services.continuing.needs._secrets", _one_secret)
    assert "secrets" in str(continues.continuation(failed.dag_id, failed.run_id).why_not)


def _one_secret(*_run: Any) -> Any:
    from cwl_ui_plugin.services.continuing import needs

    yield needs.MissingFile(needs.SECRETS, names.DISPATCHER)


def test_a_stopped_run_goes_on_where_it_needs_nothing_of_what_is_gone(failed: Failed) -> None:
    set_run(failed.dag_id, failed.run_id, "running")
    for task in ("sort", "count", "last", names.GATHERER):
        set_task(failed.dag_id, failed.run_id, task, state=None)
    stops.stop_run(failed.dag_id, failed.run_id, user="bob")
    assert not failed.folder.exists()
    done = continues.continue_run(failed.dag_id, failed.run_id, user="ada")
    assert set(done.cleared) == {"sort", "count", "last", names.GATHERER}


def test_a_stopped_run_does_not_go_on_where_its_files_are_gone(failed: Failed) -> None:
    set_run(failed.dag_id, failed.run_id, "running")
    set_task(failed.dag_id, failed.run_id, "last", state=None)
    stops.stop_run(failed.dag_id, failed.run_id, user="bob")
    with pytest.raises(Conflict, match="Run it again"):
        continues.continue_run(failed.dag_id, failed.run_id, user="ada")


@pytest.mark.parametrize(("state", "word"), [("running", "goes on"), ("queued", "begin"), ("success", "succeeded")])
def test_only_a_failed_run_goes_on(failed: Failed, state: str, word: str) -> None:
    set_run(failed.dag_id, failed.run_id, state)
    with pytest.raises(Conflict, match=word):
        continues.continue_run(failed.dag_id, failed.run_id, user="ada")


def test_a_run_whose_tasks_all_succeeded_is_refused(failed: Failed) -> None:
    for task in ("last", names.GATHERER):
        set_task(failed.dag_id, failed.run_id, task, state="success")
    with pytest.raises(Conflict, match="None of its tasks"):
        continues.continue_run(failed.dag_id, failed.run_id, user="ada")


def test_a_run_that_is_not_there_is_not_found(failed: Failed) -> None:
    with pytest.raises(NotFound):
        continues.continue_run(failed.dag_id, "other", user="ada")


@pytest.mark.parametrize("order", list(orders(("one", "one"), ("two", "two"))), ids="-".join)
def test_of_two_who_continue_at_once_one_does(
    failed: Failed, order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    actors = {
        name: ThreadActor(lambda name=name: continues.continue_run(failed.dag_id, failed.run_id, user=name))
        for name in ("one", "two")
    }
    for actor in actors.values():
        actor.hold(monkeypatch, continues, "keep_out_writers", once=True)
    _play(actors, order)
    results = [actor.result for actor in actors.values()]
    errors = [actor.error for actor in actors.values() if actor.error]
    assert (sum(result is not None for result in results), [type(error) for error in errors]) == (1, [Conflict])
    assert clear_number(failed) == 1


@pytest.mark.parametrize(
    "order", list(orders(("stop", "stop", "stop", "stop"), ("go", "go"))), ids=lambda order: "-".join(order)
)
def test_a_stop_and_a_continue_leave_it_stopped_or_going_on(
    failed: Failed, order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STOP_GRACE", "0.2")
    monkeypatch.setattr(run_termination, "IDLE_SECONDS", 0.0)
    set_run(failed.dag_id, failed.run_id, "running")
    set_task(failed.dag_id, failed.run_id, "last", state=None)
    actors = {
        "stop": ThreadActor(lambda: stops.stop_run(failed.dag_id, failed.run_id, user="bob")),
        "go": ThreadActor(lambda: continues.continue_run(failed.dag_id, failed.run_id, user="ada")),
    }
    actors["stop"].hold(monkeypatch, stops, "fail_unfinished", once=True)
    actors["stop"].hold(monkeypatch, stops, "leave_word", once=True)
    actors["stop"].hold(monkeypatch, run_folder, "remove_run_tmp", once=True)
    actors["go"].hold(monkeypatch, continues, "keep_out_writers", once=True)
    _play(actors, order)
    assert actors["stop"].error is None
    if actors["go"].error is None:  # before the last look of the stop, which stopped it, too; or after its answer
        assert failed.states()[""] == "failed" or failed.folder.exists()
    else:
        assert isinstance(actors["go"].error, Conflict)
        assert failed.states()[""] == "failed"


def _play(actors: dict[str, ThreadActor], order: tuple[str, ...]) -> None:
    for name in order:
        actors[name].step()
    for actor in actors.values():
        actor.step(free=True)


@pytest.mark.parametrize(
    "order", list(orders(("clean", "clean", "clean"), ("go", "go"))), ids=lambda order: "-".join(order)
)
def test_retention_and_a_continue_leave_it_with_all_of_its_files_or_refused(
    failed: Failed, order: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    actors = {
        "clean": ThreadActor(lambda: cleanup.remove_expired(-1)),
        "go": ThreadActor(lambda: continues.continue_run(failed.dag_id, failed.run_id, user="ada")),
    }
    actors["clean"].hold(monkeypatch, cleanup, "remove_files", once=True)
    actors["clean"].hold(monkeypatch, run_folder, "remove_run_tmp", once=True)
    actors["go"].hold(monkeypatch, continues, "keep_out_writers", once=True)
    _play(actors, order)
    assert actors["clean"].error is None
    if actors["go"].error is None:
        assert (failed.states()[""], failed.folder.exists()) == ("queued", True)
    else:
        assert isinstance(actors["go"].error, Conflict)
        assert (failed.states()[""], failed.folder.exists()) == ("failed", False)


def test_a_removal_that_takes_long_keeps_its_word(failed: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    over, word = threading.Event(), control_files.run_control(failed.dag_id, failed.run_id) / run_folder.REMOVING

    def removing_slowly(*_run: str) -> None:
        os.utime(word, (0, 0))  # it has lasted longer than its word holds
        while not intermediate.is_removing(failed.dag_id, failed.run_id) and not over.wait(0.05):
            pass
        with pytest.raises(Conflict, match="being removed"):
            continues.continue_run(failed.dag_id, failed.run_id, user="ada")

    timer = threading.Timer(20, over.set)
    monkeypatch.setattr(intermediate, "SAY_AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(run_folder, "remove_run_tmp", removing_slowly)
    timer.start()
    assert remove_files(failed.dag_id, failed.run_id)
    timer.cancel()


def test_nobody_waits_for_the_database_while_files_are_looked_at(
    failed: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.log import Log
    from airflow.utils.session import create_session

    really, written = continues.needs.missing, []

    def looking(*run: str) -> Any:
        def write() -> None:
            with create_session(scoped=False) as session:
                session.add(Log(event="other", dag_id="other"))
            written.append(True)

        writer = threading.Thread(target=write)
        writer.start()
        writer.join(60)
        assert written
        return really(*run)

    monkeypatch.setattr(continues.needs, "missing", looking)
    assert continues.continue_run(failed.dag_id, failed.run_id, user="ada").state == "queued"


def test_files_that_are_removed_after_the_look_are_looked_for_again(
    failed: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = continues.needs.missing

    def looking(*run: str) -> Any:
        found = really(*run)
        cleanup.remove_expired(-1)
        return found

    monkeypatch.setattr(continues.needs, "missing", looking)
    with pytest.raises(Conflict, match="Run it again"):
        continues.continue_run(failed.dag_id, failed.run_id, user="ada")
    assert failed.states()[""] == "failed"


def full_disk(*_given: Any, **_more: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_files_are_removed_under_a_bare_word_where_the_disk_is_full(
    failed: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    really = run_folder.remove_run_tmp
    monkeypatch.setattr(control_files, "write", full_disk)
    monkeypatch.setattr(
        run_folder,
        "remove_run_tmp",
        lambda *run: seen.append(intermediate.is_removing(*run)) or really(*run),
    )
    assert remove_files(failed.dag_id, failed.run_id)
    assert (seen, failed.folder.exists()) == ([True], False)
    assert not intermediate.is_removing(failed.dag_id, failed.run_id)


def test_nothing_is_removed_without_a_word_and_who_stops_is_told(
    failed: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_run(failed.dag_id, failed.run_id, "running")
    set_task(failed.dag_id, failed.run_id, "last", state=None)
    with monkeypatch.context() as patch:
        patch.setattr(intermediate, "_leave_word", full_disk)
        with pytest.raises(Unavailable, match=r"No space left.*Stop it again"):
            stops.stop_run(failed.dag_id, failed.run_id, user="bob")
        assert cleanup.remove_expired(-1) == 0
    assert failed.folder.exists()
    assert stops.stop_run(failed.dag_id, failed.run_id, user="bob")
    assert not failed.folder.exists()
