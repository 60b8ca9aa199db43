"""What patterns find in a folder now, before a schedule with them is saved: which sets, which file for which input."""

from __future__ import annotations

from collections.abc import Mapping

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs.file_sets import FileSet, Watch, WatchProblems, read_watch, sets_of
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.services.errors import InvalidJob
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.watching.looking import summary
from cwl_ui_plugin.services.watching.scanning import scan
from cwl_ui_plugin.services.watching.states import COMPLETE, INCOMPLETE, FolderState, SetState


def preview(settings: Mapping[str, object], plan: Plan, files: InputAccess) -> FolderState:
    """Return how a folder stands; nothing is started.

    Raises:
        InvalidJob: the settings can't be used, or the user may not use the folder.

    """
    try:
        watch = read_watch(settings, plan)
    except WatchProblems as error:
        raise InvalidJob("The watched folder can't be used.", error.problems) from error
    if not files.allows(watch.folder, whole=True):
        words = f"The folder {watch.folder} is not one that inputs may come from, or it holds what others own."
        raise InvalidJob("The folder can't be watched.", (Problem(words),))
    found = scan(watch.folder, watch.depth)
    if found.problem:
        return FolderState(problem=found.problem)
    sets, others = sets_of(watch, found.files)
    return summary(found, [_state(watch, one) for one in sets], others, "", 0.0)


def _state(watch: Watch, files: FileSet) -> SetState:
    given = {item.name: tuple(file.path for file in files.of(item.name)) for item in watch.inputs if item.pattern}
    given |= {item.name: (files.groups.get(item.group or "", ""),) for item in watch.inputs if item.group}
    names = tuple(file.path for file in files.all_files())
    kind = INCOMPLETE if files.missing else COMPLETE
    return SetState(files.name, kind, names, missing=files.missing, given=given)
