"""The packed document of a workflow, as a file for any CWL runner: ids without the store in them."""

from __future__ import annotations

import json
from typing import Any

from cwl_ui_plugin.cwl.plan import SOURCE_TOKEN, CwlObject

PORTABLE_VERSION = "v1.2"
"""The loader has updated what was older; nothing in a packed document is newer."""
_ID_KEYS = {"id", "source", "outputSource", "scatter", "out"}
_LOADERS_OWN = {"cwlVersion", "id", "http://commonwl.org/cwltool#original_cwlVersion"}


def portable(packed: dict[str, object]) -> str:
    """Return the text of one CWL document. Files of the upload that it names as defaults go beside it."""
    return json.dumps({"cwlVersion": PORTABLE_VERSION, **_process(packed)}, indent=2, ensure_ascii=False) + "\n"


def _process(process: CwlObject, step: str = "") -> CwlObject:
    """Return a process, maybe one that stands in a step, with the ids in it relative to it."""
    prefix = _prefix(str(process.get("id", "")), step)
    own = {key: value for key, value in process.items() if key not in _LOADERS_OWN}
    steps = [_step(step, prefix) for step in own.pop("steps", [])]
    made = {key: _relative(key, value, prefix) for key, value in own.items()}
    return {**made, "steps": steps} if process["class"] == "Workflow" else made


def _step(step: CwlObject, prefix: str) -> CwlObject:
    made = {key: _relative(key, value, prefix) for key, value in step.items() if key != "run"}
    start = f"{made['id']}/"
    for port in made["in"]:
        port["id"] = port["id"].removeprefix(start)
    made["out"] = [_short(output, start) for output in made["out"]]
    if "scatter" in made:
        made["scatter"] = _short(made["scatter"], start)
    return {**made, "run": _process(step["run"], step["id"])}


def _short(value: Any, start: str) -> Any:
    if isinstance(value, list):
        return [_short(item, start) for item in value]
    return {**value, "id": _short(value["id"], start)} if isinstance(value, dict) else value.removeprefix(start)


def _prefix(process_id: str, step: str) -> str:
    """Return what the ids of a process's parameters begin with; one that stands in a step may have no id."""
    if process_id.startswith("_:"):
        return f"{step}/run/"
    return f"{process_id}/" if "#" in process_id else f"cwl:{process_id.removeprefix(SOURCE_TOKEN)}#"


def _relative(key: str, value: object, prefix: str) -> Any:
    if isinstance(value, dict):
        return {name: _relative(name, item, prefix) for name, item in value.items()}
    if isinstance(value, list):
        return [_relative(key, item, prefix) for item in value]
    if isinstance(value, str):
        if key in _ID_KEYS:
            return value.removeprefix(prefix)
        if key in ("location", "path"):
            return value.removeprefix(SOURCE_TOKEN)
    return value
