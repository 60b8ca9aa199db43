"""The queue between Airflow and Slurm: what is to be submitted, what Slurm has, and what has become of it.

One thread does it all, round after round: take what the scheduler has brought, follow stops, submit, ask Slurm for all
jobs at once, say how they are. The scheduler itself never waits for Slurm.

None is lost, none runs twice. The folder of a submission is written before ``sbatch`` is called, and its id is in the
jobs' comment: where ``sbatch`` gives no answer, Slurm is asked for the comment, and if the jobs are not there after a
while (``doubts``), the folder is removed before they are submitted anew, so that one that comes late has nothing to
run. Should two jobs of one try be there, one is cancelled; and Airflow's API lets one of them begin.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.stopping import stop_orders
from cwl_ui_plugin.executors import spool, states
from cwl_ui_plugin.executors.capacity import Capacity
from cwl_ui_plugin.executors.commands import Slurm
from cwl_ui_plugin.executors.doubts import Doubts
from cwl_ui_plugin.executors.errors import SlurmError, SlurmFull, SlurmRefused, SlurmUnavailable
from cwl_ui_plugin.executors.jobs import (
    CANCEL,
    DROP,
    LOST,
    Event,
    Found,
    Item,
    Job,
    Key,
    doubles,
    give_back_lease,
    live,
    news_of_end,
    ours,
    run_of,
)
from cwl_ui_plugin.executors.spool import Submission
from cwl_ui_plugin.executors.states import Phase
from cwl_ui_plugin.executors.told import Told
from cwl_ui_plugin.executors.waiting import Waiting

log = logging.getLogger(__name__)
MAX_ELEMENTS = 1000
"""Of an array, whatever Slurm allows: its files are written before the scheduler's next heartbeat."""
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds between tries where Slurm is full or does not answer."""
LOST_SECONDS = 60.0
"""How long Slurm, its accounting and the job itself may say nothing of a job before it counts as lost."""
STALE_SECONDS = 7 * 24 * 3600.0
BUSY_SHARE = 10
"""Slurm is left alone for so many times as long as its last answer took."""


class SlurmQueue:
    """What is submitted, what is there, and what became of it; ``round`` is called by one thread only."""

    def __init__(
        self,
        slurm: Slurm,
        *,
        shortest: float,
        longest: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._slurm = slurm
        self._clock = clock
        self._capacity = Capacity(slurm, clock)
        self._shortest, self._longest = shortest, max(shortest, longest)
        self._interval = shortest
        self._ask_at = self._submit_at = float("-inf")
        self._pause = FIRST_PAUSE
        self._most = MAX_ELEMENTS
        self._array_size: int | None = None
        self._problem = ""
        self._has_cleaned = False
        self._inbox: SimpleQueue[Item | Job | tuple[str, Key]] = SimpleQueue()
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._waiting = Waiting()
        self._doubts = Doubts()
        self._jobs: dict[Key, Job] = {}
        self._out_of_reach: list[Job] = []
        self._told = Told()

    # For the scheduler's thread.

    def submit(self, items: Iterable[Item]) -> None:
        """Take what is to be submitted."""
        for item in items:
            self._inbox.put(item)

    def adopt(self, job: Job) -> None:
        """Take a job that another scheduler has submitted."""
        self._inbox.put(job)

    def cancel(self, key: Key) -> None:
        """Cancel what a task instance has, wherever it is; nothing is said of its end."""
        self._inbox.put((CANCEL, key))

    def drop(self, key: Key) -> None:
        """Do that where it has not begun; what runs is left to the task's own heartbeat."""
        self._inbox.put((DROP, key))

    def events(self) -> Iterator[Event]:
        """Yield the news since the last time."""
        while True:
            try:
                yield self._events.get_nowait()
            except Empty:
                return

    def waiting_instances(self) -> list[tuple[Key, str]]:
        """Return keys and Airflow's ids of task instances that have not begun: their Airflow may not want them now."""
        items = [(item.key, item.instance.id) for item in [*self._waiting, *self._doubts.items()]]
        jobs = [(key, job.instance.id) for key, job in list(self._jobs.items()) if job.phase is Phase.WAITS]
        return items + jobs

    # For the thread of the queue.

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to look after."""
        return self._inbox.empty() and not (self._waiting or self._jobs or self._doubts or self._out_of_reach)

    def round(self) -> None:
        """Do what is due."""
        self._take()
        self._follow_stops()
        self._cancel_unwanted()
        self._submit()
        if (self._jobs or self._doubts or self._out_of_reach) and self._clock() >= self._ask_at:
            self._ask()
        self._told.tell(self._jobs.values(), self._waiting, self._problem)

    def _take(self) -> None:
        while True:
            try:
                found = self._inbox.get_nowait()
            except Empty:
                return
            if isinstance(found, Item):
                self._waiting.add(found)
            elif isinstance(found, Job):
                self._jobs[found.key] = found
                self._look_soon()
            else:
                self._let_go(*found)

    def _let_go(self, how: str, key: Key) -> None:
        self._waiting.remove({key})
        if key in self._jobs:
            self._jobs[key].let_go = how
        self._doubts.let_go(key, how)

    def _cancel_unwanted(self) -> None:
        """Cancel what Airflow has let go of, until it is gone: Slurm may not have answered, or have had no number."""
        self._cancel(job for job in self._jobs.values() if job.let_go == CANCEL)
        now = self._clock()
        for job in self._jobs.values():
            if job.let_go == DROP and job.phase is Phase.WAITS and job.is_cancel_due(job.dropped_at, now):
                job.dropped_at = now
                self._tell_slurm([job], only_waiting=True)

    def _follow_stops(self) -> None:
        if not (self._waiting or self._jobs):
            return
        stopped = {(order.dag_id, order.run_id) for order in stop_orders.orders()}
        if not stopped:
            return
        unwanted = {item.key for item in self._waiting if run_of(item.instance) in stopped}
        self._fail(self._waiting.remove(unwanted), "Its run was stopped before Slurm had it.")
        self._cancel([job for job in self._jobs.values() if run_of(job.instance) in stopped])

    def _cancel(self, jobs: Iterable[Job]) -> None:
        now = self._clock()
        due = [job for job in jobs if job.is_cancel_due(job.cancelled_at, now)]
        for job in due:
            job.cancelled_at = now
        if due:
            self._tell_slurm(due)

    def _tell_slurm(self, jobs: Iterable[Job], *, only_waiting: bool = False) -> None:
        try:
            self._slurm.cancel([job.name for job in jobs], only_waiting=only_waiting)
        except SlurmError as error:
            log.warning("%s", error)
        self._look_soon()

    def _look_soon(self) -> None:
        self._interval = self._shortest
        self._ask_at = min(self._ask_at, self._clock() + self._interval)

    # Submitting.

    def _submit(self) -> None:
        while self._waiting and self._clock() >= self._submit_at:
            busy = {*self._jobs, *(item.key for item in self._doubts.items())}  # by their last job
            group = self._waiting.take_group(min(self._most, self._arrays()), busy)
            if not group:
                return
            try:
                misfit = self._capacity.misfit(group[0].needs)
                if misfit:
                    self._fail(group, misfit)
                    continue
                self._submit_group(group)
            except Exception as error:  # whatever it is: none is lost
                log.exception("Tasks can't be submitted to Slurm; it is tried again")
                self._later(group, f"It can't be submitted to Slurm now: {error!r}", is_theirs=True)

    def _arrays(self) -> int:
        if self._array_size is None:
            try:
                self._array_size = self._slurm.max_array_size()
            except SlurmUnavailable:
                return 1
        return min(self._array_size, MAX_ELEMENTS)

    def _submit_group(self, items: list[Item]) -> None:
        try:
            made = spool.prepare([item.instance for item in items], [item.workload for item in items])
        except (OSError, config.ConfigError) as error:
            self._later(items, f"The files of a job can't be written: {error}")
            return
        try:
            number = self._slurm.submit(made.script(), made.arguments(items[0].needs))
        except SlurmRefused as error:
            spool.forget(made.id)
            if len(items) > 1 and "array" in str(error).lower():  # a site may allow fewer than MaxArraySize
                self._array_size = len(items) // 2
                self._waiting.put_back(items)
            else:
                self._fail(items, str(error))
        except SlurmFull as error:
            spool.forget(made.id)
            self._most = max(1, len(items) // 2)
            self._later(items, str(error), is_theirs=True)
        except SlurmUnavailable as error:
            if error.may_have_acted:
                self._doubts.add(made.id, items, self._clock())
                self._later([], str(error))
            else:
                spool.forget(made.id)
                self._later(items, str(error))
        except Exception:
            spool.forget(made.id)
            raise
        else:
            self._most, self._pause, self._problem = MAX_ELEMENTS, FIRST_PAUSE, ""
            self._accept(made, items, number)

    def _accept(self, made: Submission, items: list[Item], number: str) -> None:
        for index, item in enumerate(items):
            name = f"{number}_{index}" if number and len(items) > 1 else number
            self._jobs[item.key] = Job(item.key, item.instance, made.id, index, name)
            self._events.put(Event(item.key, "submitted", name))
        self._look_soon()

    def _later(self, items: list[Item], problem: str, *, is_theirs: bool = False) -> None:
        """Try again after a pause that grows; ``is_theirs``: others, such as of another account, go first then."""
        if problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem
        if is_theirs:
            self._waiting.put_behind(items)
        else:
            self._waiting.put_back(items)
        self._submit_at = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    def _fail(self, items: Iterable[Item], why: str) -> None:
        for item in items:
            self._events.put(Event(item.key, "failed", why))

    # What Slurm has.

    def _ask(self) -> None:
        began = self._clock()
        try:
            lines = self._slurm.jobs()
        except SlurmUnavailable as error:
            if str(error) != self._problem:
                log.warning("%s", error)
            self._problem, self._interval = str(error), self._longest
            self._ask_at = self._clock() + min(self._longest, FIRST_PAUSE)
            return
        if not self._waiting and not self._doubts:
            self._problem = ""
        found = ours(lines)
        self._settle_doubts(found)
        is_new = self._compare(found)
        self._forget_stale(found)
        self._settle_out_of_reach(found)
        took = self._clock() - began
        self._interval = self._shortest if is_new else min(1.5 * self._interval, self._longest)
        self._interval = max(self._interval, BUSY_SHARE * took)
        self._ask_at = self._clock() + self._interval

    def _settle_doubts(self, found: Found) -> None:
        for settled in self._doubts.settle(found, self._clock()):
            doubt = settled.doubt
            if settled.made is None:
                self._waiting.put_back(item for item in doubt.items if item.key not in doubt.let_go)
                continue
            self._accept(settled.made, doubt.items, settled.number)
            for key, how in doubt.let_go.items():
                self._jobs[key].let_go = how

    def _compare(self, found: Found) -> bool:
        """Take over what Slurm says of all jobs; return whether anything has changed."""
        is_new = self._cancel_doubles(found)
        missing = []
        for job in list(self._jobs.values()):
            line = found.get((job.submission, job.index))
            if line is None:
                missing.append(job)
                continue
            is_new |= job.take(line)
            if job.phase.has_ended:
                self._end(job, found)
            elif job.phase is Phase.WAITS and not states.can_begin(job.reason) and job.cancelled_at is None:
                why = states.reason_in_words(job.name, job.reason, job.partition)
                self._events.put(Event(job.key, "failed", f"{why}. It can't begin, and is cancelled."))
                job.let_go = CANCEL
                self._cancel([job])
        return self._look_for(missing, found) or is_new

    def _look_for(self, missing: list[Job], found: Found) -> bool:
        """Find out what became of jobs that Slurm's controller does not know any more."""
        known = self._slurm.ended(job.name for job in missing if job.name) if missing else {}
        is_new = False
        for job in missing:
            now = self._clock()
            job.missing_since = now if job.missing_since is None else job.missing_since
            state, node = known.get(job.name, ("", ""))
            code = spool.exit_code(job.submission, job.index)
            if state and states.phase_of(state).has_ended:
                job.state, job.node = state, node or job.node
            elif code is not None:
                job.state = "FAILED" if code else "COMPLETED"
            elif now - job.missing_since > LOST_SECONDS:
                job.state = LOST
            else:
                continue
            is_new = True
            self._end(job, found)
        return is_new

    def _cancel_doubles(self, found: Found) -> bool:
        """See that no try has two jobs: the one that runs stays, or else the one that is known."""
        kept = {job.submission for job in self._jobs.values()} | set(self._doubts.names())
        others = doubles(found, self._jobs.values(), kept)
        for number, double in enumerate(others):
            known = self._jobs[double.key]
            if double.phase is Phase.RUNS and known.phase is Phase.WAITS:
                self._jobs[double.key], others[number] = double, known
        if others:
            log.warning("Jobs that are there twice are cancelled: %s", ", ".join(job.name for job in others))
            self._cancel(others)
        return bool(others)

    # The end of a job.

    def _end(self, job: Job, found: Found) -> None:
        del self._jobs[job.key]
        if not job.let_go:
            self._events.put(news_of_end(job, self._slurm.has_accounting))
        if job.state in ("NODE_FAIL", LOST):
            self._out_of_reach.append(job)
            return
        if spool.exit_code(job.submission, job.index) is not None or self._slurm.ends_all():
            give_back_lease(job)
        self._forget_if_done(job, found)

    def _settle_out_of_reach(self, found: Found) -> None:
        """Give back leases of jobs whose node has failed, once what ran there says that nothing of it is left."""
        for job in list(self._out_of_reach):
            if spool.exit_code(job.submission, job.index) is not None:
                give_back_lease(job)
                self._out_of_reach.remove(job)
                self._forget_if_done(job, found)

    def _forget_if_done(self, job: Job, found: Found) -> None:
        kept = {other.submission for other in (*self._jobs.values(), *self._out_of_reach)}
        if job.submission not in kept and job.submission not in live(found):
            spool.forget(job.submission)

    def _forget_stale(self, found: Found) -> None:
        """Remove, once, the folders of submissions that an earlier scheduler has left and Slurm knows nothing of."""
        if not self._has_cleaned:
            self._has_cleaned = True
            kept = {job.submission for job in self._jobs.values()} | set(self._doubts.names()) | live(found)
            spool.forget_older(STALE_SECONDS, kept)
