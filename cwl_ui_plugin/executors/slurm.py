"""Airflow's tasks as jobs of Slurm: ``[core] executor = cwl_ui_plugin.executors.slurm.SlurmExecutor``.

A task runs on a compute node by Airflow's own command, and talks to the API server by HTTP. What it asks for stands in
its ``executor_config["slurm"]`` (see ``needs``); the plugin puts there what a step's document and ``[cwl] task_rules``
say. ``docs/slurm.md`` has how it is set up, and what is proven.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.executors.base_executor import PARALLELISM, BaseExecutor
from airflow.utils.state import TaskInstanceState

from cwl_ui_plugin import config
from cwl_ui_plugin.executors import adoption
from cwl_ui_plugin.executors.commands import Slurm
from cwl_ui_plugin.executors.errors import NeedsError, SlurmUnavailable
from cwl_ui_plugin.executors.jobs import Event, Item, ours
from cwl_ui_plugin.executors.needs import needs_of
from cwl_ui_plugin.executors.queue import SlurmQueue
from cwl_ui_plugin.executors.spool import Instance

if TYPE_CHECKING:
    from airflow.executors.workloads import ExecutorWorkload
    from airflow.models.taskinstance import TaskInstance

log = logging.getLogger(__name__)
ROUND_SECONDS = 0.2
IDLE_SECONDS = 1.0
WANTED_SECONDS = 5.0
"""Between two looks whether Airflow still wants what waits in Slurm's queue."""
_CHUNK = 500
_WANTED = (TaskInstanceState.QUEUED, TaskInstanceState.RUNNING, TaskInstanceState.RESTARTING)
_PATIENT_SECONDS = 24 * 3600.0
_SAID_AGAIN_SECONDS = 60.0


class SlurmExecutor(BaseExecutor):
    """Submits tasks to Slurm, and tells Airflow what becomes of them."""

    is_local = False
    serve_logs = False

    def __init__(self, parallelism: int = PARALLELISM, team_name: str | None = None) -> None:
        super().__init__(parallelism=config.slurm_max_jobs() or parallelism, team_name=team_name)
        self._slurm = Slurm()
        shortest, longest = config.slurm_poll_seconds()
        self._queue = SlurmQueue(self._slurm, shortest=shortest, longest=longest)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._looked = float("-inf")
        self._errors = RepeatedErrors()

    def start(self) -> None:
        """Start the thread that talks to Slurm."""
        _warn_of_short_patience()
        self._stopping.clear()
        self._thread = threading.Thread(target=self._loop, name="slurm", daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        """Go on for as long as the scheduler does, whatever happens in a round."""
        while not self._stopping.wait(IDLE_SECONDS if self._queue.is_idle else ROUND_SECONDS):
            try:
                self._queue.round()
            except Exception as error:
                if self._errors.is_news(error):
                    log.exception("A round of the SlurmExecutor failed; it goes on")

    def _process_workloads(self, workload_items: Sequence[ExecutorWorkload]) -> None:
        """Hand tasks over to the queue; one that asks for what can't be said to Slurm fails with the reason."""
        items = []
        for workload in workload_items:
            key: Any = workload.key
            self.queued_tasks.pop(key, None)
            self.running.add(key)
            ti = getattr(workload, "ti", None)
            try:
                needs = needs_of(getattr(ti, "executor_config", None))
            except NeedsError as error:
                self._fail(key, str(error))
                continue
            items.append(Item(key, _instance(ti), workload.model_dump_json(), needs))
        self._queue.submit(items)

    def sync(self) -> None:
        """Tell Airflow the news, and see whether it still wants what waits."""
        for event in self._queue.events():
            self._take(event)
        if time.monotonic() - self._looked > WANTED_SECONDS:
            self._looked = time.monotonic()
            self._let_go_of_unwanted()

    def _take(self, event: Event) -> None:
        key: Any = event.key
        if event.state == "submitted":
            self.event_buffer[key] = (TaskInstanceState.QUEUED, event.text)
        elif event.state == "success":
            self.success(key)
        else:
            self._fail(key, event.text)

    def _fail(self, key: Any, why: str) -> None:
        self.log.warning("%s: %s", key, why)
        self.fail(key, why)

    def _let_go_of_unwanted(self) -> None:
        """Cancel what has not begun and Airflow does not want any more: stopped, cleared, failed by hand, deleted."""
        waiting = self._queue.waiting_instances()
        try:
            wanted = _wanted(instance for _key, instance in waiting)
        except Exception as error:  # the scheduler goes on where its database does not answer for a moment
            if self._errors.is_news(error):
                log.exception("Whether Airflow wants what waits in Slurm's queue can't be told; it is asked again")
            return
        for key, instance in waiting:
            if instance not in wanted:
                self.log.info("Airflow does not want %s any more: its job is cancelled", key)
                self.running.discard(key)
                self._queue.drop(key)

    def try_adopt_task_instances(self, tis: Sequence[TaskInstance]) -> Sequence[TaskInstance]:
        """Adopt what Slurm has of task instances whose scheduler has died; return those of which it has nothing.

        Where Slurm can't be asked, all are adopted: what it does not have fails later, and is tried again.
        """
        by_id = {str(ti.id): ti for ti in tis}
        try:
            found = ours(self._slurm.jobs())
        except SlurmUnavailable as error:
            self.log.warning("Slurm can't be asked what it has; its jobs are taken over unseen: %s", error)
            found = None
        running = {name for name, ti in by_id.items() if ti.state == TaskInstanceState.RUNNING}
        adopted = adoption.adopted({name: ti.key for name, ti in by_id.items()}, running, found)
        for job in adopted.values():
            self.running.add(job.key)  # type: ignore[arg-type]
            self._queue.adopt(job)
        return [ti for name, ti in by_id.items() if name not in adopted]

    def revoke_task(self, *, ti: TaskInstance) -> None:
        """Cancel what Airflow thinks is stuck in the queue."""
        self.queued_tasks.pop(ti.key, None)
        self.running.discard(ti.key)
        self._queue.cancel(ti.key)

    def end(self) -> None:
        """Stop looking: the jobs go on, and the next scheduler adopts them."""
        self._stopping.set()
        if self._thread:
            self._thread.join(timeout=IDLE_SECONDS)

    def terminate(self) -> None:
        """See :meth:`end`."""
        self.end()


class RepeatedErrors:
    """Which errors were logged within the last minute: what goes wrong in each round would fill the log.

    ``clock`` returns seconds. Threads may share one: at worst an error is logged twice.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._logged: dict[str, float] = {}

    def is_news(self, error: Exception) -> bool:
        """Whether an error is to be logged, which is noted."""
        now, said = self._clock(), repr(error)
        self._logged = {text: at for text, at in self._logged.items() if now - at < _SAID_AGAIN_SECONDS}
        if said in self._logged:
            return False
        self._logged[said] = now
        return True


def _instance(ti: Any) -> Instance:
    return Instance(str(ti.id), ti.dag_id, ti.run_id, ti.task_id, ti.map_index, ti.try_number)


def _wanted(instances: Iterable[str]) -> set[str]:
    """Return those of these ids of task instances that Airflow still wants to run."""
    from uuid import UUID

    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    ids = [UUID(one) for one in instances]
    found: set[str] = set()
    if not ids:
        return found
    with create_session(scoped=False) as session:
        for begin in range(0, len(ids), _CHUNK):
            query = select(TaskInstance.id).where(
                TaskInstance.id.in_(ids[begin : begin + _CHUNK]), TaskInstance.state.in_(_WANTED)
            )
            found |= {str(one) for one in session.scalars(query)}
    return found


def _warn_of_short_patience() -> None:
    """Say so where Airflow takes a task for stuck that waits in Slurm's queue for hours."""
    from airflow.configuration import conf

    seconds = conf.getfloat("scheduler", "task_queued_timeout", fallback=600.0)
    if seconds < _PATIENT_SECONDS:
        log.warning(
            "[scheduler] task_queued_timeout is %g seconds: Airflow takes tasks that wait in Slurm's queue longer "
            "than that for stuck, and their tokens are not valid any more. Set it to how long a job may wait at most, "
            "such as 604800 (7 days).",
            seconds,
        )
