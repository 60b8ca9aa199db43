"""Stops, as machines without common folders hear of them and answer: by polling, each for runs that it has tasks of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cwl_ui_plugin.dags.stopping import stop_orders, tombstones
from cwl_ui_plugin.dags.stopping.stop_orders import StopRequest
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone
from cwl_ui_plugin.services.errors import BadRequest, Conflict
from cwl_ui_plugin.services.workers.leases import machine_of
from cwl_ui_plugin.services.workers.tries import CallingTry

MAX_LEFT, MAX_LINE = 200, 500
"""Of what a machine says is left: lines, and characters of one."""


@dataclass(frozen=True)
class RunState:
    """What there is to know of a run: its tombstone, and the order of a stop that goes on."""

    stopped: Tombstone | None
    order: StopRequest | None


def look(caller: CallingTry, machine: str) -> RunState:
    """Return whether the run of a try is stopped or being stopped, and note that its machine looks for that."""
    hosts, order = _hosts(caller), _order(caller)
    stop_orders.announce_janitor(hosts, machine=_checked(caller, machine))
    stone = tombstones.find(caller.task.dag_id, caller.task.run_id)
    if order is None:
        return RunState(stone, None)
    return RunState(stone, replace(order, tasks=tuple(task for task in order.tasks if task.host in hosts)))


def reply(caller: CallingTry, machine: str, number: str, left: list[str]) -> None:
    """Note what a machine has left of the run of a try; raise :class:`Conflict` if the order is another one by now."""
    order = _order(caller)
    if order is None or order.number != number:
        raise Conflict("The order is another one by now, or there is none.")
    shown = [line[:MAX_LINE] for line in left[:MAX_LEFT]]
    stop_orders.reply(order, _hosts(caller), shown, machine=_checked(caller, machine))


def _order(caller: CallingTry) -> StopRequest | None:
    return stop_orders.read_request(caller.task.dag_id, caller.task.run_id)


def _hosts(caller: CallingTry) -> tuple[str, ...]:
    """Return the names of the machine of a try: as Airflow knows it, and as its lease has it."""
    held = caller.lease
    return tuple(dict.fromkeys(name for name in (held.host if held else "", caller.hostname) if name))


def _checked(caller: CallingTry, machine: str) -> str:
    """Return what a machine is called here; it is the one that has the try's lease, where there is one."""
    held, name = caller.lease, machine_of(machine)
    if held is not None and held.machine != name:
        raise BadRequest("The lease of this try is of another machine.")
    return name
