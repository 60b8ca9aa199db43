"""Workflows that would start each other for ever: each waits for what another one of them delivers, or one for itself.

Schedules that are paused or do not fit count as well: they may go on. Only workflows are looked at, not other Dags.
"""

from __future__ import annotations

from collections import deque
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.assets import output_named
from cwl_ui_plugin.dags.scheduling import ASSETS, FOLDER
from cwl_ui_plugin.library.errors import LibraryError
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.library.site_store import site_store
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.errors import BadRequest


def check_no_circle(dag_id: str, schedule: Schedule) -> None:
    """Raise :class:`BadRequest`, naming the circle, if a workflow with this schedule would start itself in the end."""
    circle = _circle(dag_id, schedule)
    if not circle:
        return
    what = "files in outputs" if schedule.kind == FOLDER else "outputs"
    if len(circle) == 2:
        words = f"The workflow {dag_id!r} would start itself for ever: it would wait for {what} of its own"
    else:
        named = {dag_id, *starters(schedule)}  # whoever saves it may not see the others
        shown = " -> ".join(name if name in named else "another workflow" for name in circle)
        words = f"These workflows would start each other for ever: {shown}, the first one again"
    raise BadRequest(
        f"{words}. Wait for something that its runs do not lead to. Schedules that are paused count, too.",
        field=schedule.kind,
    )


def _circle(dag_id: str, schedule: Schedule) -> list[str]:
    """Return the shortest circle as it would run: from the workflow over those that it starts, back to it; or nothing.

    The way is looked for backwards, from what starts a workflow: that is what its schedule says.
    """
    store = site_store()
    started: dict[str, str] = {}
    waiting = deque([(dag_id, schedule)])
    while waiting:
        name, known = waiting.popleft()
        for starter in sorted(starters(known)):
            if starter == dag_id:
                return [dag_id, *_way(name, started, dag_id)]
            if starter not in started:
                started[starter] = name
                if (its_own := _schedule_of(store, starter)) is not None:
                    waiting.append((starter, its_own))
    return []


def _way(name: str, started: dict[str, str], end: str) -> list[str]:
    way = [name]
    while way[-1] != end:
        way.append(started[way[-1]])
    return way


def starters(schedule: Schedule) -> set[str]:
    """Return the workflows whose outputs start runs of a schedule, by an event or as files in a watched folder."""
    if schedule.kind == ASSETS:
        named = (output_named(asset["name"]) for asset in schedule.settings.get("assets", ()))
        return {made[0] for made in named if made is not None}
    if schedule.kind == FOLDER:
        folder, outputs = Path(schedule.settings["folder"]).resolve(), config.outputs_folder().resolve()
        return set(folder.relative_to(outputs).parts[:1]) if folder.is_relative_to(outputs) else set()
    return set()


def _schedule_of(store: WorkflowStore, dag_id: str) -> Schedule | None:
    """Return the schedule of a workflow; None also for one that is gone or can't be read, which starts nothing."""
    try:
        return store.schedules(dag_id).current()
    except LibraryError:
        return None
