"""The relay: what files of this machine say about tasks goes to the API server, and what that says of stops into files.

Each task whose lease the server has is looked after in rounds: what is new of its logs is sent, and once its lease is
gone here, the last of them and that. For each run that has tasks here the server is asked whether it is stopped; the
order of a stop becomes one of this machine, which the janitor follows, and its reply is sent.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine, this_pod, this_slurm_job
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.dags.relaying import log_parts
from cwl_ui_plugin.dags.relaying.errors import Away, Refused, RelayError
from cwl_ui_plugin.dags.relaying.told_tasks import Run, ToldTask, ToldTasks
from cwl_ui_plugin.dags.stopping import stop_orders, tombstones
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone

log = logging.getLogger(__name__)
LOOK_SECONDS, STOPPING_SECONDS = 1.0, 0.2
"""Between two looks whether a run is stopped; while it is being stopped."""
RENEWED_SECONDS = 15.0
"""A token that was not used for so long is used to look, so that it is renewed before it ends."""
LOG_SECONDS = 0.5
AWAY_SECONDS = 2.5
"""Between two tries to send something to a server that is away."""
FIRST_PAUSE, MOST_PAUSE = 0.25, 10.0
"""After the server was away: as long, then twice that."""
ANOTHER_SECONDS = 120.0
"""How long a task waits for the machine that had it before to give its lease back; or for a proxy that says no."""
LOST_SECONDS = 300.0
"""How long the API server has to say no until a task is not told of any more: proxies reload, clocks are set."""
ELSEWHERE = "relayed"
"""The machine of the stop in orders here: none that ends something by itself."""
_THREADS = 8
"""For what is asked; as many others for what is sent, which may take long and keeps no stop waiting."""
_CONFLICT = 409


def machine() -> str:
    """Return what the API server knows this machine by: since its last boot, and with these files."""
    return hashlib.sha256(f"{this_machine()}\0{control_files.folder_id()}".encode()).hexdigest()[:32]


@dataclass
class _Look:
    """When a run was looked at last, and what was replied to the order of its stop.

    ``is_mirrored``: the server has said that it has other files, so that those here of the run's stop are the relay's.
    """

    is_mirrored: bool = False
    due: float = 0.0
    pause: float = 0.0
    order: str | None = None
    replied: tuple[str, tuple[str, ...]] | None = None


class Relay:
    """Relays for the tasks that are told; ``look_now`` is called where a task was killed."""

    def __init__(self, tasks: ToldTasks, look_now: Callable[[], None]) -> None:
        self.tasks = tasks
        self._look_now = look_now
        self._looks: dict[Run, _Look] = {}
        self._stops_heard: Counter[Run] = Counter()
        self._mirroring = threading.Lock()
        """Held for moments: where files of stops are written, and never while the server is asked."""
        self._logs_due: dict[int, float] = {}
        self._renew_due: dict[int, float] = {}
        self._pool = ThreadPoolExecutor(_THREADS, "cwl-relay")
        self._senders = ThreadPoolExecutor(_THREADS, "cwl-relay-logs")
        self._carrying: dict[int, Future[None]] = {}
        self._machine = machine()
        self.is_apart = False
        """Whether the API server has said that its files are others than those of this machine."""

    @property
    def has_work(self) -> bool:
        """Whether some task is told of, or has to be told."""
        return bool(self.tasks.all())

    def round(self) -> None:
        """Do for each task and run what is due; what is new of logs is only begun to be sent."""
        told = [one for one in self.tasks.all() if one.is_relayed]
        runs: dict[Run, ToldTask] = {}
        for one in sorted(told, key=lambda one: one.calls.answered_at):
            runs.setdefault(one.run, one)
        works: list[Callable[[], None]] = [lambda one=one: self._look(one) for one in runs.values()]  # type: ignore[misc]
        works += [lambda one=one: self._renew(one) for one in told]  # type: ignore[misc]
        looking = [self._pool.submit(work) for work in works]
        for one in told:
            self._begin_to_carry(one)
        for done in looking:
            done.result()
        for run in set(self._looks) - runs.keys():
            self._forget(run)
        pids = {one.pid for one in told}
        known: tuple[dict[int, Any], ...] = (self._logs_due, self._renew_due, self._carrying)
        for by_pid in known:
            for pid in set(by_pid) - pids:
                del by_pid[pid]

    def hold(self, told: ToldTask) -> None:
        """Tell the lease of a task, whatever time that takes; return once the server has it.

        Raises:
            RelayError: the server says no, or the task's process is gone.

        """
        pause, began = FIRST_PAUSE, time.monotonic()
        while told.is_alive:
            try:
                return self._tell_lease(told)
            except Away as error:
                log.warning("%s waits for the API server: %s", told.task.tag, error)
            except Refused as error:
                may_pass = error.status == _CONFLICT or not error.is_ours
                if not may_pass or time.monotonic() - began > ANOTHER_SECONDS:
                    told.is_held = False
                    raise
            time.sleep(pause)
            pause = min(2 * pause, MOST_PAUSE)
        raise RelayError("the task's process is gone")

    def settle(self, told: ToldTask) -> None:
        """Send the last of a task, and that it has no lease any more."""
        with suppress(Away, Refused):
            if told.is_unsure:
                self._ask_about(told)
            while told.is_held and not (told.is_lost or told.shares_folders or told.has_lease or self._finish(told)):
                pass

    def _tell_lease(self, told: ToldTask) -> None:
        where = {
            "host": this_host(),
            "machine": self._machine,
            "pid": told.pid,
            "pod": this_pod(),
            "slurm_job": this_slurm_job(),
            "folder": control_files.folder_id(),
        }
        with told.lock:  # its end is told after that
            if not told.is_alive:
                raise RelayError("the task's process is gone")
            told.is_held = True  # from when on it may be: what is told may arrive, and its answer not
            heard = self._stops_heard[told.run]
            answer = told.calls.call("PUT", "/lease", json=where)
        told.shares_folders = bool(answer["shares_folders"])
        if not told.shares_folders:
            self._mirror(told.run, answer["stopped"], heard)

    def _begin_to_carry(self, told: ToldTask) -> None:
        """Let somebody carry for a task, if it is time and nobody does."""
        carrying = self._carrying.get(told.pid)
        is_due = time.monotonic() >= self._logs_due.get(told.pid, 0.0)
        if told.is_held and is_due and (carrying is None or carrying.done()):
            self._carrying[told.pid] = self._senders.submit(self._carry, told)

    def _carry(self, told: ToldTask) -> None:
        """Send what is new of a task; and its end, if it has ended."""
        is_answered = self._guarded(told, lambda: self._send(told) if told.has_lease else self._finish(told))
        self._logs_due[told.pid] = time.monotonic() + (LOG_SECONDS if is_answered else AWAY_SECONDS)
        if told.has_lease and not told.is_alive:
            self._look_now()  # its commands may be left

    def _renew(self, told: ToldTask) -> None:
        """Have the token of a task renewed that is not used otherwise; ask what another agent has told of it."""
        now = time.monotonic()
        is_due = told.is_unsure or now - told.calls.answered_at > RENEWED_SECONDS
        if is_due and now >= self._renew_due.get(told.pid, 0.0):
            self._renew_due[told.pid] = now + (LOOK_SECONDS if told.is_unsure else RENEWED_SECONDS / 4)
            self._guarded(told, lambda: self._ask_about(told))

    def _ask_about(self, told: ToldTask) -> Any:
        """Return what the server knows of the run of a task; note whether it has the task's lease."""
        body = {"machine": self._machine, "folder": control_files.folder_id()}
        answer = told.calls.call("POST", "/look", json=body)
        told.shares_folders = bool(answer["shares_folders"])
        if told.is_unsure:
            told.is_held, told.is_unsure = bool(answer["is_leased"]), False
        return answer

    @staticmethod
    def _send(told: ToldTask) -> None:
        with told.lock:
            log_parts.send_new(told)

    def _finish(self, told: ToldTask) -> bool:
        """Send the last of a task's logs, then give its lease back; return whether that is done."""
        with told.lock:
            if not told.is_held:
                return True
            if told.has_lease:
                return False
            if not log_parts.send_new(told):
                return False
            told.calls.call("DELETE", "/lease", params={"machine": self._machine, "pid": told.pid})
            told.is_held = False
            return True

    def _guarded(self, told: ToldTask, work: Callable[[], object]) -> bool:
        """Do something for a task; return whether the server answers."""
        try:
            work()
        except Away as error:
            log.debug("%s: %s", told.task.tag, error)
            told.refused_since = None
            return False
        except Refused as error:
            return self._refused(told, error)
        except Exception:
            log.exception("What %s does could not be told; it is tried again", told.task.tag)
            return False
        return True

    @staticmethod
    def _refused(told: ToldTask, error: Refused) -> bool:
        """Give a task up once the server itself has refused all about it for a while; return whether that is so."""
        now = time.monotonic()
        if not error.is_ours:
            told.refused_since = None
        elif told.refused_since is None or told.calls.accepted_at > told.refused_since:
            told.refused_since = now
            log.warning("The API server does not want to hear of %s; it is tried again: %s", told.task.tag, error)
        elif now - told.refused_since > LOST_SECONDS:
            told.is_lost = True
            log.warning("The API server wants to hear no more of %s: %s", told.task.tag, error)
        return told.is_lost

    def _look(self, told: ToldTask) -> None:
        """Ask whether a run is stopped, in the name of one of its tasks, and answer."""
        look, now = self._looks.setdefault(told.run, _Look()), time.monotonic()
        if now < look.due:
            return
        if self._guarded(told, lambda: self._hear(told, look)):
            look.pause = 0.0
            look.due = time.monotonic() + (STOPPING_SECONDS if look.order else LOOK_SECONDS)
        else:
            look.pause = min(max(FIRST_PAUSE, 2 * look.pause), MOST_PAUSE)
            look.due = time.monotonic() + look.pause

    def _hear(self, told: ToldTask, look: _Look) -> None:
        heard = self._stops_heard[told.run]
        answer = self._ask_about(told)
        if told.shares_folders:
            return  # the files of its stop are the server's own
        self._mirror(told.run, answer["stopped"], heard)
        order = _order_of(answer["order"])
        look.order = order.number if order else None
        if order is None:
            _withdraw(told.run)
        else:
            _give(order)
            self._reply(told, order, look)
        if not answer["is_leased"]:
            self._hold_again(told)

    def _hold_again(self, told: ToldTask) -> None:
        """Tell the lease of a task anew, which the server has lost, unless something else is told of it just now."""
        if not told.lock.acquire(blocking=False):
            return
        try:
            if told.is_held and told.has_lease and told.is_alive:
                self._tell_lease(told)
        except RelayError as error:  # it is still looked after here, and hears of stops
            log.debug("The lease of %s can't be told again: %s", told.task.tag, error)
        finally:
            told.lock.release()

    def _reply(self, told: ToldTask, order: StopRequest, look: _Look) -> None:
        """Send what this machine has answered to an order, if that is news."""
        answer = stop_orders.own_reply(order)
        if answer is None or look.replied == (answer.number, answer.left):
            return
        body = {"machine": self._machine, "number": answer.number, "left": list(answer.left)}
        with suppress(Refused):  # it is another order by now
            told.calls.call("POST", "/reply", json=body)
            look.replied = (answer.number, answer.left)

    def _mirror(self, run: Run, said: Any, heard: int) -> None:
        """Let the tombstone of a run be what the server has said, for who looks for it on this machine.

        ``heard`` is how many stops were heard of when the server was asked. An answer that there is none does not hold
        where one was heard of meanwhile: which of the two answers is the later one can't be told, and the next tells.
        """
        stone = control_files.as_dataclass(Tombstone, said) if isinstance(said, dict) else None
        if stone is not None and (stone.dag_id, stone.run_id) != run:
            raise Refused(502, "it speaks of another run")
        self.is_apart = True
        with self._mirroring:
            self._looks.setdefault(run, _Look()).is_mirrored = True
            if stone is None and self._stops_heard[run] != heard:
                return
            if stone is not None and tombstones.find(*run) != stone:
                self._stops_heard[run] += 1
            tombstones.mirror(*run, stone)

    def _forget(self, run: Run) -> None:
        """Remove what was heard of a run that has no task here any more."""
        with self._mirroring:
            if any(one.run == run and one.is_relayed for one in self.tasks.all()):
                return  # one has come meanwhile
            look = self._looks.pop(run, None)
            if look is None or not look.is_mirrored:
                return
            _withdraw(run)
            tombstones.mirror(*run, None)
            control_files.forget_run(*run)


def _order_of(said: Any) -> StopRequest | None:
    """Return an order as this machine has it: given by another one."""
    if not isinstance(said, dict):
        return None
    made = control_files.as_dataclass(StopRequest, said)
    return replace(made, machine=ELSEWHERE, uid=-1, left=())


def _give(order: StopRequest) -> None:
    """Let the janitor of this machine follow an order, as long as the server has it."""
    if stop_orders.read_request(order.dag_id, order.run_id) == order:
        stop_orders.touch_request(order)
    else:
        stop_orders.write_request(order)


def _withdraw(run: Run) -> None:
    order = stop_orders.read_request(*run)
    if order is not None and order.machine == ELSEWHERE:
        stop_orders.withdraw(order)
