"""Each complete and quiet set of a watched folder starts one run, once, whatever happens meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.jobs.file_sets import read_watch
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import Conflict
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.watching import looking, rounds, starts, states
from cwl_ui_plugin.services.watching.looking import WatchedFolder
from cwl_ui_plugin.services.workflows.details import stored_version

INPUTS = (
    Parameter("reads", {"type": "array", "items": "File"}),
    Parameter("sample", ["null", "string"]),
    Parameter("level", "int"),
)
SETTLE = 100.0


class Clock:
    """The time that :mod:`looking` sees."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(looking, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def incoming(folders: Path) -> Path:
    folder = folders / "inputs" / "incoming"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def dag_id(add: Callable[..., StoredVersion]) -> str:
    name = f"watching-{uuid.uuid4().hex[:8]}"
    add(name, inputs=INPUTS)
    return name


def schedule_of(stored: StoredVersion, folder: Path, **more: Any) -> Schedule:
    settings = {
        "folder": str(folder),
        "files": {"reads": "{sample}_R{1,2}.gz"},
        "names": {"sample": "sample"},
        "settle": SETTLE,
    }
    return replace(
        Schedule(
            kind="folder",
            settings=settings,
            job={"level": 3},
            version=stored.digest,
            saved_by="ada",
            saved_at="2026-01-01T00:00:00+00:00",
        ),
        **more,
    )


@pytest.fixture
def watched(dag_id: str, store: WorkflowStore, incoming: Path, clock: Clock) -> WatchedFolder:
    return watch(dag_id, schedule_of(store.current(dag_id), incoming))


def watch(dag_id: str, schedule: Schedule) -> WatchedFolder:
    version = stored_version(dag_id)
    assert version is not None
    return WatchedFolder(dag_id, schedule, read_watch(schedule.settings, version.plan))


def put(folder: Path, *names: str, text: str = "x") -> None:
    for name in names:
        (folder / name).write_text(text)


def runs_of(dag_id: str) -> dict[str, Any]:
    """The confs of the runs of a Dag."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return {run.run_id: run.conf for run in session.scalars(select(DagRun).where(DagRun.dag_id == dag_id))}


def settled(watched: WatchedFolder, clock: Clock) -> states.FolderState:
    """Look, wait until what is there is quiet, and look again."""
    watched.look()
    clock.now += SETTLE
    return watched.look()


def test_a_set_starts_when_it_is_complete_and_quiet(
    watched: WatchedFolder, dag_id: str, incoming: Path, clock: Clock
) -> None:
    put(incoming, "a_R1.gz", "readme")
    (state,) = settled(watched, clock).sets
    assert (state.state, state.missing) == ("incomplete", ("a_R2.gz",))
    put(incoming, "a_R2.gz")
    (state,) = watched.look().sets
    assert (state.state, state.seconds) == ("changing", SETTLE)
    clock.now += SETTLE - 1
    put(incoming, "a_R2.gz", text="half of it")
    assert watched.look().counts == {"changing": 1}
    clock.now += SETTLE - 1
    assert watched.look().counts == {"changing": 1}
    clock.now += 1
    found = watched.look()
    (state,) = found.sets
    assert (state.state, found.others, state.files) == ("started", ("readme",), ("a_R1.gz", "a_R2.gz"))
    assert list(runs_of(dag_id)) == [state.run_id]
    job = runs_of(dag_id)[state.run_id]["job"]
    assert job["level"] == 3
    assert job["sample"] == "a"
    assert [item["path"] for item in job["reads"]] == [str(incoming / "a_R1.gz"), str(incoming / "a_R2.gz")]


def test_pages_show_the_folder_as_what_has_started_a_run(
    watched: WatchedFolder, dag_id: str, incoming: Path, clock: Clock
) -> None:
    put(incoming, "a_R1.gz", "a_R2.gz")
    (state,) = settled(watched, clock).sets
    assert state.run_id is not None
    job = runs_of(dag_id)[state.run_id]["job"]
    triggers.trigger(dag_id, conf={"job": job}, run_id="folder-by-hand", user="bob", via=triggers.REST)
    shown = {run.run_id: (run.started_by, run.from_folder) for run in queries.list_runs([dag_id]).items}
    assert shown == {state.run_id: ("watched folder of ada", True), "folder-by-hand": ("bob", False)}
    assert queries.get_run(dag_id, state.run_id).summary.started_by == "watched folder of ada"


def test_it_starts_once_also_after_a_restart_and_when_its_run_is_deleted(
    watched: WatchedFolder, dag_id: str, incoming: Path, clock: Clock
) -> None:
    put(incoming, "a_R1.gz", "a_R2.gz")
    settled(watched, clock)
    (run_id,) = runs_of(dag_id)
    with pytest.raises(Conflict, match="still there"):
        starts.allow_again(dag_id, run_id)
    again = WatchedFolder(dag_id, watched.schedule, watched.watch)
    assert settled(again, clock).counts == {"started": 1}
    delete_runs(dag_id)
    assert settled(WatchedFolder(dag_id, watched.schedule, watched.watch), clock).counts == {"started": 1}
    assert runs_of(dag_id) == {}
    starts.allow_again(dag_id, run_id)
    settled(WatchedFolder(dag_id, watched.schedule, watched.watch), clock)
    assert list(runs_of(dag_id)) == [run_id]


def test_a_folder_that_vanishes_and_comes_back_starts_nothing_again(
    watched: WatchedFolder, dag_id: str, incoming: Path, clock: Clock
) -> None:
    put(incoming, "a_R1.gz", "a_R2.gz")
    settled(watched, clock)
    away = incoming.rename(incoming.with_name("away"))
    assert "is not there" in watched.look().problem
    away.rename(incoming)
    put(incoming, "b_R1.gz", "b_R2.gz")
    assert settled(watched, clock).counts == {"started": 2}
    assert len(runs_of(dag_id)) == 2


@pytest.mark.parametrize("name", ["_hold", "settle"])
def test_whoever_dies_while_a_run_is_created_leaves_it_to_the_next(
    watched: WatchedFolder, dag_id: str, incoming: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class Killed(BaseException):
        pass

    def die(*_arguments: object) -> None:
        raise Killed

    put(incoming, "a_R1.gz", "a_R2.gz")
    watched.look()
    clock.now += SETTLE
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(triggers, name, die)
        watched.look()
    assert (runs_of(dag_id), starts.started_runs(dag_id)) == ({}, {})
    settled(WatchedFolder(dag_id, watched.schedule, watched.watch), clock)
    assert len(runs_of(dag_id)) == len(starts.started_runs(dag_id)) == 1


def test_whoever_dies_after_a_run_was_created_starts_it_no_second_time(
    watched: WatchedFolder, dag_id: str, incoming: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def create_and_die(*arguments: Any, **more: Any) -> None:
        trigger(*arguments, **more)
        raise Killed

    trigger = triggers.trigger
    put(incoming, "a_R1.gz", "a_R2.gz")
    watched.look()
    clock.now += SETTLE
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(triggers, "trigger", create_and_die)
        watched.look()
    assert settled(WatchedFolder(dag_id, watched.schedule, watched.watch), clock).counts == {"started": 1}
    assert len(runs_of(dag_id)) == 1


def test_two_servers_that_both_think_they_lead_start_one_run(
    watched: WatchedFolder, dag_id: str, incoming: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = WatchedFolder(dag_id, watched.schedule, watched.watch)
    put(incoming, "a_R1.gz", "a_R2.gz")
    watched.look()
    other.look()
    clock.now += SETTLE
    looked: list[states.FolderState] = []
    trigger = triggers.trigger

    def after_the_other(*arguments: Any, **more: Any) -> Any:
        if not looked:
            looked.append(states.FolderState())
            looked[0] = other.look()
        return trigger(*arguments, **more)

    monkeypatch.setattr(triggers, "trigger", after_the_other)
    mine = watched.look()
    assert mine.counts == looked[0].counts == {"started": 1}
    assert len(runs_of(dag_id)) == 1


def test_a_set_whose_job_does_not_fit_is_refused_in_words_and_tried_again_later(
    dag_id: str, store: WorkflowStore, incoming: Path, clock: Clock
) -> None:
    watched = watch(dag_id, schedule_of(store.current(dag_id), incoming, job={"level": "{{ sample }}"}))
    put(incoming, "a_R1.gz", "a_R2.gz", "b_R1.gz")
    state = settled(watched, clock).sets[0]
    assert (state.state, runs_of(dag_id)) == ("refused", {})
    assert "level" in state.why
    assert watched.look().sets[0].state == "refused"
    good = WatchedFolder(dag_id, schedule_of(store.current(dag_id), incoming), watched.watch)
    assert settled(good, clock).sets[-1].state == "started"


def test_a_folder_that_its_author_may_not_use_starts_nothing(
    dag_id: str, store: WorkflowStore, tmp_path: Path, clock: Clock
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    put(elsewhere, "a_R1.gz", "a_R2.gz")
    found = settled(watch(dag_id, schedule_of(store.current(dag_id), elsewhere)), clock)
    assert found == states.FolderState(
        problem=f"The folder {elsewhere} is not one that inputs may come from any more.", seconds=0.0
    )
    assert runs_of(dag_id) == {}


def test_a_folder_that_becomes_a_link_out_of_it_is_not_looked_into(
    watched: WatchedFolder, dag_id: str, incoming: Path, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "elsewhere").mkdir()
    put(tmp_path / "elsewhere", "a_R1.gz", "a_R2.gz")
    incoming.rmdir()
    incoming.symlink_to(tmp_path / "elsewhere")
    assert "not one that inputs may come from" in settled(watched, clock).problem
    assert runs_of(dag_id) == {}


def test_many_sets_are_started_some_at_a_time(
    watched: WatchedFolder, dag_id: str, incoming: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "MAX_STARTS", 2)
    for number in range(3):
        put(incoming, f"{number}_R1.gz", f"{number}_R2.gz")
    assert settled(watched, clock).counts == {"started": 2, "ready": 1}
    assert watched.look().counts == {"started": 3}
    assert len(runs_of(dag_id)) == 3


def test_while_something_is_in_the_way_sets_wait(
    watched: WatchedFolder, dag_id: str, incoming: Path, clock: Clock
) -> None:
    put(incoming, "a_R1.gz", "a_R2.gz")
    watched.look()
    clock.now += SETTLE
    found = watched.look("It is paused.")
    assert (found.problem, found.counts, runs_of(dag_id)) == ("It is paused.", {"ready": 1}, {})


def test_a_round_follows_the_schedules_and_keeps_how_folders_stand(
    dag_id: str, store: WorkflowStore, incoming: Path
) -> None:
    schedule = schedule_of(store.current(dag_id), incoming)
    assert store.set_schedule(dag_id, schedule, instead_of=None)
    put(incoming, "a_R1.gz", "b_R1.gz", "b_R2.gz")
    one_round = rounds.WatchRound()
    one_round()
    kept = states.kept(dag_id)
    assert kept is not None
    assert kept.looked_at
    assert [(state.name, state.state) for state in kept.sets] == [("b", "changing"), ("a", "incomplete")]
    assert store.set_schedule(dag_id, None, instead_of=schedule.digest)
    one_round()
    assert states.kept(dag_id) is None


def test_without_watched_folders_a_round_writes_nothing(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one_round, written = rounds.WatchRound(), []
    monkeypatch.setattr(states, "forget_all_but", lambda kept: written.append(kept))
    for _ in range(3):
        one_round()
    assert written == [set()]  # what an earlier server has left


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"is_paused": True}, "paused"),
        ({"problem": "It does not fit."}, "It does not fit."),
        ({"version": "0" * 32}, "another version"),
        ({}, ""),
    ],
)
def test_what_is_in_the_way_is_said(
    dag_id: str, store: WorkflowStore, incoming: Path, change: dict[str, Any], words: str
) -> None:
    said = rounds.obstacle(dag_id, schedule_of(store.current(dag_id), incoming, **change))
    assert words in said
    assert bool(said) == bool(words)


def delete_runs(dag_id: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.dag_id == dag_id))
