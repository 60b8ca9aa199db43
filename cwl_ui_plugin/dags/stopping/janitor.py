"""The janitor: a small process beside each worker that ends what runs have on its machine.

It follows the orders of stops within a fraction of a second, while Airflow's own way waits for a task's next heartbeat.
It also ends what tasks have left whose process was killed, and settles what was left before its machine came back. It
lives as long as its worker or any task process of it, and until nothing of theirs is left.

``python -m cwl_ui_plugin.dags.stopping.janitor SETTINGS`` (JSON) with a pipe as standard input that every process of
the worker holds open. It does without Airflow, which would take seconds and a hundred megabytes.
"""

from __future__ import annotations

import json
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.processes.machine import this_host, this_machine
from cwl_ui_plugin.dags.errors import LeasedError
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.sharing import shares_folders
from cwl_ui_plugin.dags.stopping import stop_orders
from cwl_ui_plugin.dags.stopping.run_termination import RunEnding, is_stale
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest
from cwl_ui_plugin.interpreters import module_command

log = logging.getLogger(__name__)
LOOK_SECONDS = 0.2
POLL_SECONDS = 0.05
ANNOUNCE_SECONDS = 3.0
ABANDONED_SECONDS = 20.0
Run = tuple[str, str]
_started: subprocess.Popen[bytes] | None = None


def start_janitor() -> None:
    """Start the janitor of this worker, before it forks; a failure only means that stops wait for heartbeats."""
    global _started
    if _started is not None:
        return
    try:
        _started = launch()
    except (OSError, config.ConfigError):
        log.exception("The janitor of this worker could not be started")


def launch() -> subprocess.Popen[bytes]:
    """Start what looks after this machine: a janitor, or an agent where folders are not shared (``dags.relaying``)."""
    module = "cwl_ui_plugin.dags.stopping.janitor" if shares_folders() else "cwl_ui_plugin.dags.relaying.agent"
    return subprocess.Popen(module_command(module, settings()), stdin=subprocess.PIPE, start_new_session=True)


def settings() -> str:
    """Return what a janitor, or an agent, of this machine has to know."""
    from airflow.configuration import conf
    from airflow.utils.net import get_hostname

    options = {
        "tmp_folder": str(config.tmp_folder()),
        "workflows_folder": str(config.workflows_folder()),
        "stop_grace": config.text("stop_grace"),
    }
    names = ("ssl_cert", "ssl_ca_file", "client_ssl_cert", "client_ssl_key")
    certificates = {name: str(conf.get("api", name, fallback=None) or "") for name in names}
    hosts = [this_host(), get_hostname()]  # type: ignore[no-untyped-call]
    return json.dumps({"options": options, "hosts": hosts, "certificates": certificates})


def start_in_scheduler() -> None:
    """Start it if this process is a scheduler that runs tasks on its own machine."""
    from airflow.configuration import conf

    if "scheduler" in sys.argv and "LocalExecutor" in conf.get("core", "executor", fallback=""):
        start_janitor()


def start_in_celery_worker() -> None:
    """Start it if this process is a Celery worker, before that forks."""
    if not {"celery", "worker"} <= set(sys.argv):
        return
    from celery.signals import worker_init

    worker_init.connect(_on_worker_init, weak=False)


def _on_worker_init(**_kwargs: object) -> None:
    start_janitor()


def end_abandoned(*, for_worker: bool = False) -> int:
    """End the commands of tasks on this machine whose own process was killed; return of how many tasks."""
    return sum(
        _give_back(lease)
        for lease in run_folder.all_leases()
        if (lease.is_here and not lease.has_holder) or is_stale(lease, for_worker=for_worker)
    )


def _give_back(task: run_folder.TaskTry) -> bool:
    try:
        run_folder.give_back(task, config.number("stop_grace"))
    except LeasedError as error:
        log.warning("%s", error)
        return False
    log.info("The commands of %s, whose task process was killed, are ended.", task.tag)
    return True


def follow(order: StopRequest, hosts: tuple[str, ...]) -> None:
    """End what a run has on this machine, and tell the stop, as long as the order is there."""
    ending = RunEnding(order.dag_id, order.run_id, order.grace, has_folder=order.has_folder, for_worker=True)
    told: tuple[str, list[str]] | None = None
    current: StopRequest | None = order
    while current is not None:
        began = time.monotonic()
        left = ending.look([task for task in current.tasks if task.host in hosts])
        if told != (current.number, left):
            stop_orders.reply(current, hosts, left)
            told = (current.number, left)
        time.sleep(POLL_SECONDS + (time.monotonic() - began))
        current = stop_orders.read_request(order.dag_id, order.run_id)


class Janitor:
    """Looks for orders to follow, and for what tasks have left; ``hosts`` are the names of this machine."""

    def __init__(self, hosts: tuple[str, ...]) -> None:
        self.hosts = hosts
        self._following: dict[Run, threading.Thread] = {}
        self._announced = self._looked = float("-inf")
        self._looking: threading.Thread | None = None

    def round(self) -> None:
        """Look once."""
        now = time.monotonic()
        if now - self._announced > ANNOUNCE_SECONDS:
            self._announced = now
            stop_orders.announce_janitor(self.hosts)
        if now - self._looked > ABANDONED_SECONDS and not self._is_looking():
            self._looked = now
            self._looking = threading.Thread(target=safely, args=(_clean,), daemon=True)
            self._looking.start()
        for order in stop_orders.orders():
            if order.machine == this_machine() and order.uid in (0, os.geteuid()):
                continue  # the stop does it by itself
            run = (order.dag_id, order.run_id)
            thread = self._following.get(run)
            if thread is None or not thread.is_alive():
                self._following[run] = threading.Thread(target=safely, args=(follow, order, self.hosts), daemon=True)
                self._following[run].start()
        self._following = {run: thread for run, thread in self._following.items() if thread.is_alive()}

    def has_work(self) -> bool:
        """Whether something is being ended or to be looked at, or this machine has a lease."""
        is_to_look = self._looked == float("-inf")
        return bool(self._following) or self._is_looking() or is_to_look or _has_leases()

    def look_now(self) -> None:
        """Look for what was left in the next round."""
        self._looked = float("-inf")

    def _is_looking(self) -> bool:
        return self._looking is not None and self._looking.is_alive()


def _clean() -> None:
    stop_orders.forget_old_janitors()
    end_abandoned(for_worker=True)


def safely(work: Callable[..., object], *arguments: object) -> bool:
    """Do some work; return whether it could be done."""
    try:
        work(*arguments)
    except Exception:
        log.exception("The janitor could not do its work; it tries again")
        return False
    return True


def _has_leases() -> bool:
    return any(lease.is_here for lease in run_folder.all_leases())


def main() -> int:
    """Be the janitor."""
    given = json.loads(sys.argv[1])
    config.give(given["options"])
    logging.basicConfig(level=logging.INFO, format="%(asctime)s cwl-janitor %(message)s")
    janitor = Janitor(tuple(given["hosts"]))
    has_worker = True
    while has_worker or janitor.has_work():
        pause = LOOK_SECONDS if safely(janitor.round) else ANNOUNCE_SECONDS
        ready, _, _ = select.select([sys.stdin] if has_worker else [], [], [], pause)
        if ready:  # the end of the pipe
            has_worker = False
            janitor.look_now()
    with suppress(OSError):
        stop_orders.dismiss_janitor()
    return 0


if __name__ == "__main__":
    sys.exit(main())
