"""Secondary files of inputs in object stores: those that a workflow asks for are looked for beside the object."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from cwl_ui_client.names import is_expression, secondary_name

from cwl_ui_plugin.cwl.jobs.file_objects import basename_of
from cwl_ui_plugin.cwl.plan import CwlObject, Parameter
from cwl_ui_plugin.fetching.errors import NotThere, OtherContent
from cwl_ui_plugin.fetching.storage_roots import StorageRules, is_stored


def secondary_patterns(item: Parameter) -> Sequence[str]:
    """Return the patterns of an input's secondary files, without those that only an expression can tell."""
    return [str(entry["pattern"]) for entry in item.secondary_files if not is_expression(str(entry["pattern"]))]


def with_those_beside(
    value: CwlObject,
    patterns: Sequence[str],
    known: dict[str, bool],
    rules: StorageRules,
    check_stopped: Callable[[], None],
) -> CwlObject:
    """Return a File with the secondary files that lie beside it in its store, besides those that it names itself.

    What is not there is left out: cwltool tells which ones must be. ``known`` are addresses with whether something is
    there; what is not among them is asked for, and added.

    Raises:
        FetchError: the store can't be asked.

    """
    location, given = value.get("location"), value.get("secondaryFiles") or []
    if value.get("class") != "File" or not isinstance(location, str) or not is_stored(location):
        return value
    named = {basename_of(part) for part in given if isinstance(part, dict)}
    found: list[CwlObject] = []
    for pattern in patterns:
        folder, slash, name = location.rpartition("/")
        basename = secondary_name(basename_of(value), pattern)
        beside = folder + slash + secondary_name(name, pattern)
        if basename in named:
            continue
        if beside not in known:
            known[beside] = _is_there(beside, rules, check_stopped)
        if known[beside]:
            named.add(basename)
            found.append({"class": "File", "location": beside, "basename": basename})
    return {**value, "secondaryFiles": [*given, *found]} if found else value


def _is_there(location: str, rules: StorageRules, check_stopped: Callable[[], None]) -> bool:
    from cwl_ui_plugin.fetching import site
    from cwl_ui_plugin.fetching.storage import find

    try:
        find(rules.address(location), site.document_limits(), check_stopped)
    except (NotThere, OtherContent):
        return False
    return True
