"""Runs and tries of tasks as the reports see them, made by hand."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from cwl_ui_plugin.reports.due import RunFacts, TaskFact

START = datetime(2026, 1, 1, tzinfo=timezone.utc)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def task(task_id: str, began: float, ended: float | None = None, state: str = "success", **more: Any) -> TaskFact:
    return TaskFact(
        task_id=task_id,
        map_index=-1,
        try_number=more.pop("try_number", 1),
        state="running" if ended is None else state,
        started=at(began),
        ended=at(ended) if ended is not None else None,
        **more,
    )


def run(*tasks: TaskFact, state: str = "running", total: int = 4, **more: Any) -> RunFacts:
    return RunFacts(
        dag_id="d",
        run_id="r",
        run_key=1,
        state=state,
        started=at(0),
        ended=at(100) if state != "running" else None,
        clear_number=more.pop("clear_number", 0),
        total=total,
        tasks=tasks,
        **more,
    )
