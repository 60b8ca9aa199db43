"""What is shown of the task instances of a run: made from their rows and from what they have handed on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.cwl.task_names import approval_task, helped_task
from cwl_ui_plugin.dags.names import DISPATCHER, ERROR_KEY, GATHERER, STATISTICS_KEY
from cwl_ui_plugin.dags.xcoms import Xcoms
from cwl_ui_plugin.reports.stopped import Stopped
from cwl_ui_plugin.services.models import iso
from cwl_ui_plugin.services.monitoring import approvals, run_states
from cwl_ui_plugin.services.run_models import ApprovalAnswer, StepState
from cwl_ui_plugin.services.workflows.details import stored_version

if TYPE_CHECKING:
    from sqlalchemy import Row

    from cwl_ui_plugin.cwl.plan import Step

_NO_STATUS = "no_status"


@dataclass(frozen=True)
class StepMaker:
    """Makes what is shown of task instances from all that is known of their run."""

    xcoms: Xcoms
    answers: Mapping[str, ApprovalAnswer]
    names: Names
    stop: Stopped | None
    ends: Mapping[tuple[str, int, int], str] = field(default_factory=dict)
    """What a batch system says of tries that could not say it themselves."""

    def steps(self, tasks: Sequence[Row[object]]) -> list[StepState]:
        """Return what is shown of these."""
        labels = {task.task_id: self.names.label(task.task_id, task.task_display_name) for task in tasks}
        return [self._step(task, labels) for task in tasks]

    def _step(self, task: Row[Any], labels: Mapping[str, str]) -> StepState:
        error = _mapping(self.xcoms.get((task.task_id, task.map_index, ERROR_KEY)))
        statistics = _mapping(self.xcoms.get((task.task_id, task.map_index, STATISTICS_KEY)))
        has_failed = task.state == "failed"
        used = _mapping(error.get("used")) if has_failed else statistics
        command = (error if has_failed else statistics).get("command")
        state = approvals.known_state(task.task_id, str(task.state or _NO_STATUS))
        return StepState(
            task_id=task.task_id,
            label=labels[task.task_id],
            map_index=task.map_index,
            element=task.rendered_map_index or (str(task.map_index) if task.map_index >= 0 else None),
            reused=bool(statistics.get("reused")),
            taken_over=bool(statistics.get("taken_over")),
            state=state,
            shown_state=self._shown_state(task, state, error.get("kind")),
            step=labels.get(helped_task(task.task_id) or task.task_id, labels[task.task_id]),
            approval=self.answers.get(task.task_id),
            try_number=task.try_number,
            started_at=iso(task.start_date),
            ended_at=iso(task.end_date),
            seconds=task.duration,
            error=(error.get("message") or self._end_of(task)) if has_failed else None,
            error_kind=error.get("kind") if has_failed else None,
            stderr=(error.get("stderr") or None) if has_failed else None,
            exit_code=(error if has_failed else statistics).get("exit_code"),
            command=tuple(map(str, command)) if isinstance(command, list) else None,
            cpu_seconds=used.get("cpu_seconds"),
            peak_memory_bytes=used.get("peak_memory_bytes"),
            run_seconds=used.get("seconds"),
            asked_cores=used.get("asked_cores"),
            asked_ram=used.get("asked_ram"),
        )

    def _end_of(self, task: Row[object]) -> str | None:
        return self.ends.get((task.task_id, task.map_index, task.try_number))

    def _shown_state(self, task: Row[object], state: str, error_kind: object) -> str:
        may_go_on = error_kind != "permanentFail" and task.try_number <= task.max_tries
        end = run_states.TaskEnd(task.start_date, task.end_date, may_go_on)
        return run_states.shown_task_state(state, end, self.stop.moment if self.stop else None)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Names:
    """The tasks of a workflow in its order, and what it calls its steps; of a Dag that is not in the store none."""

    planned: tuple[str, ...]
    labels: Mapping[str, str]

    @classmethod
    def of(cls, dag_id: str, digest: str | None) -> Names:
        """Read them from a version of a workflow."""
        version = stored_version(dag_id, digest) if digest else None
        if version is None:
            return cls((), {})
        steps = [step for _depth, step in version.plan.all_steps()]
        return cls(tuple(_tasks_of(version.plan.steps)), {step.task_id: step.label or step.id for step in steps})

    def label(self, task_id: str, display_name: str | None) -> str:
        """Return what to call a task: as the workflow does, or else as Airflow does."""
        own = display_name if display_name and display_name != task_id else None
        return own or self.labels.get(task_id) or task_id

    def in_order(self, steps: list[StepState]) -> list[StepState]:
        """Sort the tasks as the workflow has them; of a Dag that is not in the store, as they began."""
        rank = {task_id: number for number, task_id in enumerate([DISPATCHER, *self.planned], start=-1)}
        rank[GATHERER] = len(rank)
        unplanned = len(rank)

        def place(step: StepState) -> tuple[int, str, str, int]:
            known = rank.get(step.task_id)
            began = "" if known is not None else step.started_at or "~"
            return unplanned if known is None else known, began, step.task_id, step.map_index

        return sorted(steps, key=place)


def _tasks_of(steps: Iterable[Step]) -> Iterator[str]:
    """Yield the ids of the tasks of steps, in their order."""
    for step in steps:
        *before, last = step.tasks
        if step.approval is None:
            yield approval_task(step.task_id)  # the workflow may have been chosen to ask
        yield from before
        yield from _tasks_of(step.steps)
        yield last
