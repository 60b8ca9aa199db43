"""Where the plugin is not ahead of a peer, and why, from the figures alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from common import megabytes, seconds
from costs import Cost
from peer_works import Work

Figures = dict[str, dict[str, Cost]]
"""What each peer took for each work, by the peer's name and the work's key."""


@dataclass
class Ours:
    """What is known of the plugin beside its figures."""

    run: str
    """The name of its figures as a command ..."""
    alone: str
    """... and of its server's part."""
    rest: Cost = field(default_factory=lambda: Cost(0, 0, 0))
    """What its server takes at rest."""
    bare_rest: Cost = field(default_factory=lambda: Cost(0, 0, 0))
    """What a bare Airflow takes at rest."""
    instances: dict[str, int] = field(default_factory=dict)
    """How many task instances a run of each work has, by the work's key."""


def conclusion(works: list[Work], figures: Figures, ours: Ours, commands: set[str], servers: set[str]) -> str:
    """Return one line for each line of the table on which a peer takes less, or that there is none.

    ``commands`` are compared with the whole command, ``servers`` with what the server has of it.
    """
    lines = []
    for work in works:
        whole, alone = figures[ours.run][work.key], figures[ours.alone][work.key]
        for number, (measure, shown) in enumerate(MEASURES.items()):
            for peers, cost, reasons in ((commands, whole, _BESIDE_COMMANDS), (servers, alone, _BESIDE_SERVERS)):
                less = {name: figures[name][work.key][number] for name in figures if name in peers}
                less = {name: value for name, value in less.items() if value < cost[number]}
                if less:
                    told = ", ".join(f"{name} {shown(value)}" for name, value in less.items())
                    why = reasons[measure](work, ours, whole, alone)
                    lines.append(f"* {work.title}, {measure}: {shown(cost[number])} against {told}. {why}")
    if not lines:
        return "Target: ahead of all others on each line: reached."
    return "Target: ahead of all others on each line: missed on these.\n\n" + "\n".join(lines)


def _round_trips(work: Work, ours: Ours, whole: Cost, alone: Cost) -> str:
    others = max(0.0, whole.wall - alone.wall)
    return (
        f"The run alone takes {seconds(alone.wall)}, {_instances(work, ours)} that pass through scheduler, executor "
        f"and API server; the other {seconds(others)} are the start of the command, the upload, and the way of the "
        "outputs."
    )


def _processes(work: Work, ours: Ours, whole: Cost, alone: Cost) -> str:
    rest = ours.rest.cpu / ours.rest.wall * whole.wall if ours.rest.wall else 0.0
    return (
        f"{seconds(alone.cpu)} are the server's: {seconds(rest)} what it takes at rest in that time, the other "
        f"{seconds(max(0.0, alone.cpu - rest))} {_instances(work, ours)}, each with processes of its own and calls of "
        "the API server."
    )


def _at_rest(_work: Work, ours: Ours, whole: Cost, _alone: Cost) -> str:
    return (
        f"The server has {megabytes(ours.rest.memory)} at rest, once for all users and runs; this adds "
        f"{megabytes(max(0.0, whole.memory - ours.rest.memory))}."
    )


def _more_tasks(work: Work, ours: Ours, _whole: Cost, _alone: Cost) -> str:
    return (
        f"It is {_instances(work, ours)}, with one that checks the job and one that delivers the outputs, and what "
        f"CWL asks for besides (staging, checksums, collecting outputs); a bare Airflow has {len(work.commands)}, "
        "which run a command and nothing else."
    )


def _more_loaded(_work: Work, ours: Ours, _whole: Cost, alone: Cost) -> str:
    return (
        f"At rest it is {megabytes(ours.rest.memory)} against the bare Airflow's {megabytes(ours.bare_rest.memory)}: "
        f"cwltool is loaded before tasks need it; the run adds {megabytes(max(0.0, alone.memory - ours.rest.memory))}."
    )


def _instances(work: Work, ours: Ours) -> str:
    return f"{ours.instances[work.key]} task instances"


MEASURES: dict[str, Callable[[float], str]] = {"wall time": seconds, "CPU time": seconds, "memory": megabytes}
_Reason = Callable[[Work, Ours, Cost, Cost], str]
_BESIDE_COMMANDS: dict[str, _Reason] = {"wall time": _round_trips, "CPU time": _processes, "memory": _at_rest}
_BESIDE_SERVERS: dict[str, _Reason] = {"wall time": _more_tasks, "CPU time": _more_tasks, "memory": _more_loaded}
