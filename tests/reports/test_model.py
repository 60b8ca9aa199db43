"""Random histories of runs: each fact is told once, in order, and none that is not so.

``CWL_MODEL_EXAMPLES=2000`` looks longer than CI does.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import uuid
from collections import defaultdict
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from cwl_ui_plugin.reports import dispatch, outbox, records
from cwl_ui_plugin.reports.deleted import Deletions
from cwl_ui_plugin.reports.dispatch import Dispatcher
from cwl_ui_plugin.reports.errors import NotDelivered, Unreachable
from cwl_ui_plugin.reports.target import ReportTarget

IN_CI = 20
EXAMPLES = int(os.environ.get("CWL_MODEL_EXAMPLES", IN_CI))
STEPS = 40
NAMES = ("one", "two")
TARGET = ReportTarget(base_url="http://127.0.0.1:1")
FATES = ("taken", "refused", "answer lost", "away")
ENDED, GOES_ON = ("success", "failed"), ("running",)
BEGINNINGS = ("", "running", "running", "success", "failed", "up_for_retry")
pick = st.integers(0, 5)


def one(found: list[Any], pick: int) -> Any:
    """Return one of some things."""
    return found[pick % len(found)]


class Receiver:
    """Takes the place of the HTTP connection: ``fate`` is what becomes of the next report; the others are taken."""

    def __init__(self) -> None:
        self.target = TARGET
        self.fate = "taken"
        self.reports: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._lock = threading.Lock()

    def send_text(self, route: str, text: str) -> int:
        with self._lock:
            fate, self.fate = self.fate, "taken"
            if fate in ("taken", "answer lost"):
                self.take(route, text)
        if fate == "refused":
            raise NotDelivered("400", 400)
        if fate != "taken":
            raise Unreachable(fate)
        return 200

    def take(self, route: str, text: str) -> None:
        """Keep a report, unless it is there: then it must be the same."""
        report = {"route": route, **json.loads(text)}
        known = self.reports[report["run_id"]]
        same = [other for other in known if other["report_id"] == report["report_id"]]
        assert same in ([], [report]), f"{report} came as {same} before"
        known.extend([] if same else [report])


class Histories(RuleBasedStateMachine):
    """What may happen to runs, to their reports and to the receiver, in any order."""

    dag_id = ""

    @initialize()
    def begin(self) -> None:
        from support.report_oracle import World

        _empty_tables()
        self.world = World(self.dag_id)
        self.receiver = Receiver()
        self.recorder, self.deletions = records.Recorder(), Deletions()
        self.dispatcher = Dispatcher(lambda: True, lambda: None)
        self.dispatcher._sender_for = lambda _target: self.receiver  # type: ignore[assignment, method-assign, return-value]
        self.dispatcher._sender = self.receiver  # type: ignore[assignment]

    def runs(self, *states: str) -> list[Any]:
        return [run for run in self.world.runs.values() if run.state in states]

    def tasks(self, run_states: tuple[str, ...], *states: str | None) -> list[Any]:
        """The tasks that are in some states, of runs that are in some states, each with its run."""
        return [
            (run, task) for run in self.runs(*run_states) for task in run.instances.values() if task.state in states
        ]

    @precondition(lambda self: len(self.world.runs) < len(NAMES))
    @rule(tasks=st.tuples(*[st.sampled_from(BEGINNINGS)] * 3))
    def trigger(self, tasks: tuple[str, ...]) -> None:
        """Make a run; it may have come some way before anybody looks."""
        name = next(name for name in NAMES if name not in self.world.runs)
        self.world.trigger(name)
        run = self.world.runs[name]
        for task, state in zip(run.instances.values(), tasks, strict=True):
            if state and run.state == "queued":
                self.world.begin(run)
            if state:
                self.world.start(run, task)
            if state not in ("", "running"):
                self.world.finish(run, task, state)

    @precondition(lambda self: self.runs("queued"))
    @rule(pick=pick)
    def begin_run(self, pick: int) -> None:
        self.world.begin(one(self.runs("queued"), pick))

    @precondition(lambda self: self.tasks(GOES_ON, None, "queued", "up_for_retry"))
    @rule(pick=pick)
    def start(self, pick: int) -> None:
        run, task = one(self.tasks(GOES_ON, None, "queued", "up_for_retry"), pick)
        if task.state == "queued":
            task.number -= 1  # it was counted when it was queued
        self.world.start(run, task)

    @precondition(lambda self: self.tasks(GOES_ON, "running"))
    @rule(pick=pick, state=st.sampled_from(("success", "failed", "skipped", "up_for_retry")))
    def finish(self, pick: int, state: str) -> None:
        self.world.finish(*one(self.tasks(GOES_ON, "running"), pick), state)

    @precondition(lambda self: self.tasks(GOES_ON, None))
    @rule(pick=pick, state=st.sampled_from(("skipped", "upstream_failed")))
    def set_by_rule(self, pick: int, state: str) -> None:
        self.world.rule(*one(self.tasks(GOES_ON, None), pick), state)

    @precondition(lambda self: self.runs("running"))
    @rule(pick=pick, state=st.sampled_from(("success", "failed")))
    def end(self, pick: int, state: str) -> None:
        """Let a run end, or somebody set it so while tasks go on."""
        self.world.end(one(self.runs("running"), pick), state)

    @precondition(lambda self: self.runs("queued", "running", "failed"))
    @rule(pick=pick)
    def stop(self, pick: int) -> None:
        self.world.stop(one(self.runs("queued", "running", "failed"), pick))

    @precondition(lambda self: self.runs(*ENDED))
    @rule(pick=pick)
    def set_by_hand(self, pick: int) -> None:
        run = one(self.runs(*ENDED), pick)
        self.world.end(run, "failed" if run.state == "success" else "success")

    def under_way(self) -> list[Any]:
        return [(run, task) for run, task in self.tasks(ENDED, "failed") if task.was_running]

    @precondition(lambda self: self.under_way())
    @rule(pick=pick, state=st.sampled_from(("success", "failed", "up_for_retry")))
    def write_late(self, pick: int, state: str) -> None:
        self.world.write_late(*one(self.under_way(), pick), state)

    def never_ran(self) -> list[Any]:
        failed = self.tasks(("failed",), "failed")
        return [
            (run, task)
            for run, task in failed
            if task.key not in run.history and "running" not in run.written[task.key]
        ]

    @precondition(lambda self: self.never_ran())
    @rule(pick=pick)
    def queue_late(self, pick: int) -> None:
        self.world.queue_late(*one(self.never_ran(), pick))

    @precondition(lambda self: self.runs("failed"))
    @rule(pick=pick)
    def reopen_late(self, pick: int) -> None:
        self.world.reopen_late(one(self.runs("failed"), pick))

    @precondition(lambda self: self.runs(*ENDED))
    @rule(pick=pick)
    def assert_end(self, pick: int) -> None:
        self.world.assert_end(one(self.runs(*ENDED), pick))

    @precondition(lambda self: self.runs(*ENDED))
    @rule(pick=pick, which=st.sets(st.sampled_from(range(3)), min_size=1))
    def clear(self, pick: int, which: set[int]) -> None:
        run = one(self.runs(*ENDED), pick)
        tasks = list(run.instances.values())
        self.world.clear(run, [tasks[index] for index in which])

    @precondition(lambda self: self.world.runs)
    @rule(pick=pick, rarely=st.integers(0, 3))
    def delete(self, pick: int, rarely: int) -> None:
        if not rarely:
            self.world.delete(one(list(self.world.runs.values()), pick))

    @precondition(lambda self: self.runs(*ENDED))
    @rule(rarely=st.integers(0, 5))
    def clean(self, rarely: int) -> None:
        """Let ``airflow db clean`` take what has ended."""
        for run in () if rarely else self.runs(*ENDED):
            self.world.delete(run)

    @rule(hours=st.integers(-5, 5))
    def set_clock(self, hours: int) -> None:
        self.world.clock.hours = hours

    @rule()
    def wait(self) -> None:
        """Let so much time pass that no end is a new one."""
        from airflow.utils.session import create_session
        from sqlalchemy import select

        from cwl_ui_plugin.reports.tables import ReportState

        with create_session() as session:
            for state in session.scalars(select(ReportState)):
                state.updated_at -= timedelta(hours=1)

    @precondition(lambda self: self.world.lives)
    @rule(late=st.booleans())
    def look(self, late: bool) -> None:
        self.deletions.round(late=late)
        self.recorder.record_due(late=late)
        self.world.seen()

    @precondition(lambda self: outbox.backlog().reports)
    @rule(fate=st.sampled_from(FATES))
    def deliver(self, fate: str) -> None:
        self.receiver.fate = fate
        outbox.retry_now()
        self.dispatcher._silent_until = 0.0
        self.dispatcher.dispatch(TARGET)
        assert self.dispatcher.wait(60)
        self.receiver.fate = "taken"

    @precondition(lambda self: outbox.backlog().reports)
    @rule(number=st.integers(1, 5))
    def deliver_and_die(self, number: int) -> None:
        """Let the process be killed before it has stored that reports arrived."""
        for waiting in outbox.waiting_runs(limit=1):
            for report in outbox.next_reports(waiting.key, number):
                self.receiver.take(report.route, report.payload)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        from support.report_oracle import judge

        for _turn in range(3):  # of all runs that have ended
            self.look(late=True)
        while outbox.backlog().reports:
            self.deliver("taken")
        self.dispatcher.stop()
        assert judge(self.world, self.receiver.reports, self._life) == []

    def _life(self, report: dict[str, Any]) -> int:
        """Tell by the id of a report which of the runs that had the name it is about."""
        for run in self.world.lives:
            fact = json.dumps([self.dag_id, run.name, run.key, report["sequence"]])
            if str(uuid.uuid5(records._NAMESPACE, fact)) == report["report_id"]:
                return int(run.key)
        pytest.fail(f"{report} is about no run")


def _empty_tables() -> None:
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.taskinstancehistory import TaskInstanceHistory
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import RecordedReport, ReportState, Stop

    with create_session() as session:
        for table in (TaskInstanceHistory, TaskInstance, DagRun, RecordedReport, ReportState, Stop):
            session.query(table).delete()


def test_each_fact_is_told_once_and_in_order_whatever_happens(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Histories, "dag_id", workflow)
    monkeypatch.setattr(dispatch, "log", dispatch.log.getChild("quiet"))
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=EXAMPLES <= IN_CI,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            database=None,
        ),
    )


LATE = ("the task", "the queue", "the end", "the run")
"""Writes that were under way when a run was stopped, in the order in which they may arrive."""


@pytest.mark.parametrize("order", list(itertools.permutations(LATE, 3 if EXAMPLES > IN_CI else 2)), ids=" ".join)
def test_writes_that_are_held_while_the_reporter_looks(workflow: str, order: tuple[str, ...]) -> None:
    """A stop, and after it what a task and the scheduler had under way, with a look at any moments between them."""
    from support.report_oracle import World, judge

    for looks in itertools.product((False, True), repeat=len(order) + 1):
        _empty_tables()
        world, recorder = World(workflow), records.Recorder()
        world.trigger("one")
        run = world.runs["one"]
        running, waiting, _last = run.instances.values()
        world.begin(run)
        world.start(run, running)
        writes = {
            "the task": lambda: world.write_late(run, running, "success"),  # noqa: B023 - called in this turn
            "the queue": lambda: world.queue_late(run, waiting),  # noqa: B023
            "the end": lambda: world.assert_end(run) if run.end else None,  # noqa: B023
            "the run": lambda: world.reopen_late(run),  # noqa: B023
        }
        for write, look in zip((lambda: world.stop(run), *(writes[name] for name in order)), looks, strict=True):  # noqa: B023
            write()
            if look:
                recorder.record_due(late=True)
                world.seen()
        world.stop(run)  # it looks again and again
        recorder.record_due(late=True)
        world.seen()
        assert judge(world, received(), lambda _report: run.key) == [], (order, looks)  # noqa: B023


def received() -> dict[str, list[dict[str, Any]]]:
    """What was recorded, as a receiver would get it."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for waiting in outbox.waiting_runs(limit=10):
        for report in outbox.next_reports(waiting.key, 1000):
            found[report.run_id].append({"route": report.route, **json.loads(report.payload)})
    return found
