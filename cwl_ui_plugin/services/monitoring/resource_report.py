"""What each step of a workflow asked for and used: in one run, and in the last ones that succeeded.

Only what was measured counts: not a step whose outputs were taken from an earlier run, nor one that ran for less than a
second, of which memory and CPU time say nothing. What a step asked for is what cwltool made of its ResourceRequirement
when it ran, expressions included; of runs of earlier versions of the plugin, what its document says in numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.cwl.plan import Step
from cwl_ui_plugin.cwl.requirements import DEFAULT_CORES, DEFAULT_RAM, needs_a_job
from cwl_ui_plugin.dags.names import ERROR_KEY, STATISTICS_KEY
from cwl_ui_plugin.dags.xcoms import read_xcoms
from cwl_ui_plugin.services.csv_lines import csv_line
from cwl_ui_plugin.services.monitoring.queries import find_run
from cwl_ui_plugin.services.workflows.details import pinned_workflow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

RUNS, MAX_RUNS = 10, 50
MIN_SECONDS = 1.0
"""What ran for less was not measured: a command is looked at once a second."""
HEAD_ROOM = 1.25
RAM_STEP = 256
"""Mebibytes that suggestions are rounded up to."""
TOO_MUCH = 2.0
"""Who asks for so many times what it used is told."""
TIGHT = 0.9
_MIN_RAM_SAVED = 512
_MEBIBYTE = 1 << 20
_SEVERAL = " … "
"""In the name of a task instance that ran several elements side by side."""


@dataclass(frozen=True)
class Measured:
    """One task instance that ran; memory in bytes, ``slots`` of Airflow's pool for ``held`` seconds."""

    run_id: str
    seconds: float
    cpu_seconds: float | None
    memory: int | None
    asked_cores: float | None
    asked_ram: float | None
    slots: int
    held: float
    is_of_several: bool


@dataclass(frozen=True)
class StepUse:
    """What a step asked for and used. Seconds, cores, ``asked_ram`` in mebibytes, memory in bytes.

    ``measured`` is how many of its tasks were, in how many ``runs``; ``not_measured`` those that were too short, or
    whose outputs were an earlier run's. ``cores`` is CPU time by time, of the median and of the greatest.
    ``wasted_slot_seconds`` is for how long slots of Airflow's pool were held by cores that did nothing.
    ``hint`` says what is wrong with what it asks for; ``suggestion`` is a ResourceRequirement, in YAML.
    """

    task_id: str
    label: str
    runs: int
    measured: int
    not_measured: int
    is_scattered: bool
    is_expression: bool
    asks: bool
    asked_cores: float | None = None
    asked_ram: float | None = None
    seconds: float | None = None
    max_seconds: float | None = None
    cores: float | None = None
    max_cores: float | None = None
    memory: int | None = None
    max_memory: int | None = None
    pool_slots: int | None = None
    slot_seconds: float | None = None
    wasted_slot_seconds: float | None = None
    hint: str | None = None
    suggestion: str | None = None


@dataclass(frozen=True)
class ResourceReport:
    """The steps of a workflow, over ``run_ids``: the run that was asked for, and the last that succeeded before it."""

    dag_id: str
    run_id: str
    run_ids: tuple[str, ...]
    steps: tuple[StepUse, ...]

    @property
    def slot_seconds(self) -> float:
        """For how long slots of Airflow's pools were held."""
        return sum(step.slot_seconds or 0.0 for step in self.steps)

    @property
    def wasted_slot_seconds(self) -> float:
        """For how long of that their cores did nothing."""
        return sum(step.wasted_slot_seconds or 0.0 for step in self.steps)


def report(dag_id: str, run_id: str, runs: int = RUNS) -> ResourceReport:
    """Return what the steps of a run asked for and used, with up to ``runs - 1`` others; raise :class:`NotFound`."""
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        run = find_run(session, dag_id, run_id)
        version = pinned_workflow(dag_id, run.bundle_version)
        run_ids = (run_id, *_others(session, dag_id, run_id, max(0, min(runs, MAX_RUNS) - 1)))
        found: dict[str, list[Measured | None]] = {}
        for one in run_ids:
            for task_id, measured in _of_run(session, dag_id, one):
                found.setdefault(task_id, []).append(measured)
    steps = [step for _depth, step in version.plan.all_steps() if not step.steps] if version else []
    return ResourceReport(dag_id, run_id, run_ids, tuple(_use(step, found.get(step.task_id, [])) for step in steps))


def as_csv(found: ResourceReport) -> str:
    """Return a report as a table, without the suggestions; nothing in it is taken for a formula."""
    names = [item.name for item in fields(StepUse) if item.name != "suggestion"]
    return csv_line(names) + "".join(csv_line(getattr(step, name) for name in names) for step in found.steps)


def _others(session: Session, dag_id: str, run_id: str, count: int) -> Sequence[str]:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    query = select(DagRun.run_id).where(DagRun.dag_id == dag_id, DagRun.state == "success", DagRun.run_id != run_id)
    return session.scalars(query.order_by(DagRun.id.desc()).limit(count)).all()


def _of_run(session: Session, dag_id: str, run_id: str) -> Iterator[tuple[str, Measured | None]]:
    """Yield what is known of the task instances of a run that have run; None for one that was not measured."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import select

    table = TaskInstance.__table__
    names = ("task_id", "map_index", "duration", "pool_slots", "rendered_map_index", "state")
    query = select(*(table.c[name] for name in names)).where(
        table.c.dag_id == dag_id, table.c.run_id == run_id, table.c.state.in_(("success", "failed"))
    )
    xcoms = read_xcoms(session, dag_id, run_id)
    for task in session.execute(query):
        key = (task.task_id, task.map_index)
        told = (xcoms.get((*key, ERROR_KEY)) or {}).get("used") if task.state == "failed" else None
        used: Mapping[str, Any] = told or xcoms.get((*key, STATISTICS_KEY)) or {}
        if used:
            yield task.task_id, _measured(run_id, used, task)


def _measured(run_id: str, used: Mapping[str, Any], task: Any) -> Measured | None:
    seconds = float(used.get("seconds") or 0.0)
    if used.get("reused") or seconds < MIN_SECONDS:
        return None
    return Measured(
        run_id=run_id,
        seconds=seconds,
        cpu_seconds=used.get("cpu_seconds"),
        memory=used.get("peak_memory_bytes") or None,
        asked_cores=used.get("asked_cores"),
        asked_ram=used.get("asked_ram"),
        slots=int(task.pool_slots or 1),
        held=float(task.duration or seconds),
        is_of_several=_SEVERAL in (task.rendered_map_index or ""),
    )


def _use(step: Step, found: Sequence[Measured | None]) -> StepUse:
    measured = [one for one in found if one is not None]
    cores, ram = _asked(step, measured)
    known = StepUse(
        task_id=step.task_id,
        label=step.label or step.id,
        runs=len({one.run_id for one in measured}),
        measured=len(measured),
        not_measured=len(found) - len(measured),
        is_scattered=bool(step.scatter),
        is_expression=needs_a_job(step.resources),
        asks=bool(step.resources),
        asked_cores=cores,
        asked_ram=ram,
    )
    return StepUse(**{**vars(known), **_used(measured), **_advice(known, measured)}) if measured else known


def _asked(step: Step, measured: Sequence[Measured]) -> tuple[float | None, float | None]:
    """Return what a step asked for, cores and mebibytes: its tasks, or what its document says in numbers."""
    written = {name: value for name, value in step.resources.items() if isinstance(value, (int, float))}
    default = {} if step.resources else {"cores": DEFAULT_CORES, "ram": DEFAULT_RAM}
    cores = _greatest(one.asked_cores for one in measured)
    ram = _greatest(one.asked_ram for one in measured)
    return (
        written.get("cores", default.get("cores")) if cores is None else cores,
        written.get("ram", default.get("ram")) if ram is None else ram,
    )


def _used(measured: Sequence[Measured]) -> dict[str, float | int | None]:
    seconds = [one.seconds for one in measured]
    cores = [one.cpu_seconds / one.seconds for one in measured if one.cpu_seconds is not None]
    memory = [one.memory for one in measured if one.memory]
    return {
        "seconds": round(median(seconds), 1),
        "max_seconds": round(max(seconds), 1),
        "cores": round(median(cores), 2) if cores else None,
        "max_cores": round(max(cores), 2) if cores else None,
        "memory": int(median(memory)) if memory else None,
        "max_memory": max(memory, default=None),
        "pool_slots": max(one.slots for one in measured),
        "slot_seconds": round(sum(one.slots * one.held for one in measured), 1),
        "wasted_slot_seconds": round(sum(_wasted(one) for one in measured), 1),
    }


def _wasted(one: Measured) -> float:
    """Return for how long slots were held that a task had no use for."""
    return max(0.0, one.slots * one.held - max(one.held, one.cpu_seconds or 0.0))


def _advice(step: StepUse, measured: Sequence[Measured]) -> dict[str, str | None]:
    """Return what is wrong with what a step asks for, and a requirement that would fit."""
    if any(one.is_of_several for one in measured):
        return {"hint": "Its tasks ran several elements side by side: what one of them needs is not known."}
    memory = _greatest(one.memory for one in measured)
    cores = _greatest(one.cpu_seconds / one.seconds for one in measured if one.cpu_seconds is not None)
    if memory is None or cores is None:
        return {}
    used_ram = memory / _MEBIBYTE
    fits = {"coresMin": max(1, math.ceil(cores - 0.1)), "ramMin": _rounded(used_ram * HEAD_ROOM)}
    hints = [*_ram_hint(step, used_ram), *_cores_hint(step, cores)]
    if not hints:
        return {}
    lines = [f"  {name}: {value}" for name, value in fits.items()]
    return {"hint": " ".join(hints), "suggestion": "\n".join(["ResourceRequirement:", *lines])}


def _ram_hint(step: StepUse, used: float) -> Iterator[str]:
    asked = step.asked_ram
    if asked is None:
        return
    if asked > TOO_MUCH * used and asked - _rounded(used * HEAD_ROOM) >= _MIN_RAM_SAVED:
        yield f"It asked for {memory_text(asked)} of memory and used {memory_text(used)} at most."
    elif used > asked and not step.asks:
        yield f"It asks for no memory, and used {memory_text(used)}."
    elif used > TIGHT * asked and step.asks:
        yield f"It used {memory_text(used)} of the {memory_text(asked)} of memory that it asked for: that is tight."


def _cores_hint(step: StepUse, used: float) -> Iterator[str]:
    asked = step.asked_cores
    if asked is not None and asked >= 2 and asked > TOO_MUCH * used:
        yield f"It asked for {asked:g} cores and used {used:.1f}."
    elif asked is not None and used > asked + 0.5:
        yield f"It used {used:.1f} cores, and asked for {asked:g}."


def _rounded(mebibytes: float) -> int:
    return max(RAM_STEP, math.ceil(mebibytes / RAM_STEP) * RAM_STEP)


def memory_text(mebibytes: float) -> str:
    """Return memory as people read it, in the units of a ResourceRequirement."""
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"


def _greatest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)
