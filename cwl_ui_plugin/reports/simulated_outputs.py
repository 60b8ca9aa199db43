"""An output object that a run of a plan might have: something of each output's type."""

from __future__ import annotations

import hashlib

from cwl_ui_plugin.cwl.cwl_types import Compound, CwlType
from cwl_ui_plugin.cwl.plan import Plan

CONTENT = b"simulated\n"
_PLAIN: dict[str, object] = {
    "boolean": True,
    "int": 1,
    "long": 1,
    "float": 0.5,
    "double": 0.5,
    "string": "simulated",
    "Any": "simulated",
}


def simulated_outputs(plan: Plan, folder: str) -> dict[str, object]:
    """Return an output object whose files are said to be in a folder; none of them is there."""
    return {output.id: _value(output.type, output.id, folder) for output in plan.outputs}


def _value(kind: CwlType, name: str, folder: str) -> object:
    if isinstance(kind, list):
        real = [item for item in kind if item != "null"]
        return _value(real[0], name, folder) if real else None
    if not isinstance(kind, str):
        return _compound(kind, name, folder)
    if kind in ("File", "stdout", "stderr"):
        return _file(f"{name}.txt", folder)
    if kind == "Directory":
        listing = [_file(f"{name}.txt", f"{folder}/{name}")]
        return {"class": "Directory", "location": f"file://{folder}/{name}", "basename": name, "listing": listing}
    return _PLAIN.get(kind)


def _compound(kind: Compound, name: str, folder: str) -> object:
    if kind["type"] == "array":
        return [_value(kind["items"], name, folder)]
    if kind["type"] == "enum":
        return next(iter(kind["symbols"]), None)
    return {item["name"]: _value(item["type"], item["name"], folder) for item in kind["fields"]}


def _file(name: str, folder: str) -> dict[str, object]:
    return {
        "class": "File",
        "location": f"file://{folder}/{name}",
        "basename": name,
        "size": len(CONTENT),
        "checksum": f"sha1${hashlib.sha1(CONTENT).hexdigest()}",  # noqa: S324 - what CWL uses
    }
