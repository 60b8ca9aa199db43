"""Every order of the writes of a stop, of Airflow's scheduler and of a task: after the answer nothing starts any more.

The task is a real process with the operator's own lease and check, the database a real SQLite. The scheduler had the
task in hand before the stop, and writes ``queued`` over whatever there is by then.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from support import tagged
from support.interleaving import ProcessActor, ThreadActor, orders
from support.stored import copy_run, set_task

from cwl_ui_plugin.cwl.errors import StoppedError
from cwl_ui_plugin.cwl.processes import task_processes
from cwl_ui_plugin.cwl.processes.task_processes import Process
from cwl_ui_plugin.dags import operators
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import run_termination, tombstones
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.stopping import stops, tombstone_watch
from cwl_ui_plugin.services.stopping.proof import StopProof

STOP = ("stop fails tasks", "stop leaves word", "stop looks")
REVIVAL = ("scheduler writes late", "task starts", "task writes lease", "task looks", "task runs command")
UNSEEN = ("task starts unseen", *REVIVAL[2:])
"""A task whose start the scheduler has overwritten, too: the database does not know of its process."""
STOPPED = 3
TASK = "sort"


@pytest.fixture(autouse=True)
def quick(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STOP_GRACE", "0.2")
    monkeypatch.setenv("AIRFLOW__CORE__KILLED_TASK_CLEANUP_TIME", "10")
    monkeypatch.setattr(run_termination, "IDLE_SECONDS", 0.0)
    monkeypatch.setattr("cwl_ui_plugin.services.stopping.proof.ASK_AGAIN_SECONDS", 0.1)


def columns(dag_id: str, run_id: str) -> Any:
    """What Airflow tells a task as it starts, and the state of its instance."""
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import and_, select

    same = and_(DagRun.dag_id == TaskInstance.dag_id, DagRun.run_id == TaskInstance.run_id)
    query = select(TaskInstance.id, TaskInstance.state, DagRun.run_after, DagRun.clear_number).join(DagRun, same)
    query = query.where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == TASK)
    with create_session(scoped=False) as session:
        return session.execute(query).one()


def task_process(dag_id: str, run_id: str, started: Path) -> Callable[[Callable[[str], None]], int]:
    """Return what a task process does: lease, look, command; it stands still before each."""
    row = columns(dag_id, run_id)
    ti = SimpleNamespace(id=row.id, dag_id=dag_id, run_id=run_id, task_id=TASK, map_index=-1, try_number=1)
    run = SimpleNamespace(run_after=row.run_after, clear_number=row.clear_number, dag_id=dag_id, run_id=run_id)
    operator = operators.CwlStepOperator(task_id=TASK, document=operators.Document(Path(), Path()))

    def work(at: Callable[[str], None]) -> int:
        write, look = run_folder._write_lease, tombstones.StopCheck.__call__

        def held_write(task: TaskTry) -> None:
            at("lease")
            write(task)

        def held_look(check: tombstones.StopCheck) -> None:
            at("look")
            look(check)

        run_folder._write_lease = held_write
        tombstones.StopCheck.__call__ = held_look  # type: ignore[method-assign]
        try:
            with operator.leased({"ti": ti, "dag_run": run}) as task:  # type: ignore[typeddict-item]
                at("command")
                started.touch()
                command = [sys.executable, "-c", "import time; time.sleep(600)"]
                with subprocess.Popen(command, env={**os.environ, task_processes.TAG_VARIABLE: task.tag}):
                    at("running")
        except StoppedError:
            return STOPPED
        return 0

    return work


@dataclass
class Scene:
    """One run, one stop of it, one task that the scheduler revives; ``play`` lets them go in an order."""

    dag_id: str
    run_id: str
    started: Path
    patch: pytest.MonkeyPatch
    faults: list[str] = field(default_factory=list)

    def play(self, order: tuple[str, ...]) -> list[str]:
        """Do all steps in an order; return what is against the promise."""
        self.task = ProcessActor(task_process(self.dag_id, self.run_id, self.started))
        self.stop = ThreadActor(lambda: stops.stop_run(self.dag_id, self.run_id, user="ada"))
        self.stop.hold(self.patch, stops, "fail_unfinished", once=True)
        self.stop.hold(self.patch, stops, "leave_word", once=True)
        self.stop.hold(self.patch, StopProof, "wait", once=True)
        self.stop.step()
        self.is_running = self.is_unseen = False
        try:
            for step in order:
                self._do(step)
            self._see_the_end()
        finally:
            self.task.kill()
            for process in self._commands():
                psutil.Process(process.pid).kill()
            tombstones.forget(self.dag_id, self.run_id)  # the next scene's watch has nothing to do with this run
        return self.faults

    def _commands(self) -> list[Process]:
        """Find what the task has started: to look through the processes of the machine takes a while."""
        return tagged.find(f"{self.dag_id}/{self.run_id}") if self.started.exists() else []

    def _do(self, step: str) -> None:
        if step == "stop looks":
            self.stop.step(self._supervise, free=True)
            self._see_the_answer()
        elif step.startswith("stop"):
            self.stop.step()
        elif step == "scheduler writes late":
            set_task(self.dag_id, self.run_id, TASK, state="queued")
        elif step == "task starts":
            self._start()
        elif step == "task starts unseen":
            set_task(self.dag_id, self.run_id, TASK, state="queued")
            self.is_running = self.is_unseen = True
            self.task.step()
        elif self.is_running and self.task.is_alive():
            self.task.step()

    def _start(self) -> None:
        """Start the task as Airflow does: only what is queued in the database may run."""
        if columns(self.dag_id, self.run_id).state != "queued":
            return
        from airflow.utils.net import get_hostname

        self.is_running = True
        now = {"start_date": datetime.now(timezone.utc), "try_number": 1}
        set_task(self.dag_id, self.run_id, TASK, state="running", pid=self.task.pid, hostname=get_hostname(), **now)
        self.task.step()

    def _supervise(self) -> None:
        """Kill a task that is not running in the database any more, as its supervisor does."""
        # One with a lease is the stop's own business.
        has_lease = bool(run_folder.leases(self.dag_id, self.run_id))
        if (
            self.is_running
            and not self.is_unseen
            and not has_lease
            and columns(self.dag_id, self.run_id).state != "running"
        ):
            self.task.kill()
        self.task.is_alive()  # reaps it

    def _see_the_answer(self) -> None:
        if self.stop.error:
            self.faults.append(f"the stop ended with {self.stop.error!r}")
        self.had_started = self.started.exists()
        self.faults += [f"after the answer there was {process}" for process in self._commands()]

    def _see_the_end(self) -> None:
        if self.started.exists() and not self.had_started:
            self.faults.append("a command was started after the answer")
        if self.is_running and self.task.is_alive():
            self.faults.append(f"the task goes on at {self.task.point}")
        if self.task.code == STOPPED:  # as Airflow does then
            set_task(self.dag_id, self.run_id, TASK, state="failed")
        tombstone_watch.StopWatch()()
        run = queries.get_run(self.dag_id, self.run_id)
        states = {run.summary.state, *(step.state for step in run.steps)}
        if states != {"failed"}:
            self.faults.append(f"the database says {states}")


@pytest.fixture
def scene(workflow: str, tmp_path: Path) -> Iterator[Callable[[], Scene]]:
    """Make a scene with a new run."""
    from cwl_ui_plugin.services.triggering import triggers

    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id="first", user="ada", via=triggers.REST)
    patches: list[pytest.MonkeyPatch] = []

    def make() -> Scene:
        run_id = f"run-{len(patches)}"
        copy_run(workflow, "first", run_id)
        patches.append(pytest.MonkeyPatch())
        return Scene(workflow, run_id, tmp_path / f"started-{run_id}", patches[-1])

    yield make
    for patch in patches:
        patch.undo()


def played(scene: Callable[[], Scene], order: tuple[str, ...]) -> list[str]:
    made = scene()
    try:
        return made.play(order)
    finally:
        made.patch.undo()


@pytest.mark.parametrize("revival", [REVIVAL, UNSEEN], ids=["revived", "unseen"])
def test_in_no_order_does_anything_start_after_the_answer(scene: Callable[[], Scene], revival: tuple[str, ...]) -> None:
    faults = {order: found for order in orders(STOP, revival) if (found := played(scene, order))}
    assert faults == {}


def test_without_the_word_of_a_stop_the_fault_is_found(
    scene: Callable[[], Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is what happened before: the stop had looked, and answered, when the scheduler wrote."""
    monkeypatch.setattr(tombstones.StopCheck, "found", lambda _check: None)
    faults = played(scene, (*STOP, *REVIVAL))
    assert "a command was started after the answer" in faults
