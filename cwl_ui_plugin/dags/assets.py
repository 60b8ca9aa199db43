"""Assets of Airflow: what a workflow delivers, and the events that tell other Dags of it.

Each output of a workflow that can hold files is an asset, whose name and URI are ``cwl://<dag_id>/<output>``. The last
task emits an event for each that it has delivered; ``extra`` says where the files are. An event is a row of Airflow's
database, and an output may have 100,000 files: :func:`event_extra` is bounded, and says so where it leaves some out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from cwl_ui_plugin.cwl.files import CLASSES, total_size

if TYPE_CHECKING:
    from airflow.sdk import Asset

    from cwl_ui_plugin.cwl.plan import CwlObject, Parameter, Plan

SCHEME = "cwl://"
MAX_NAME = 1500
"""Characters of a name or URI; Airflow takes no more."""
MAX_ITEMS = 25
"""Files and folders that one event names."""
MAX_EXTRA_BYTES = 16_384
"""Of the items of one event, as JSON."""
_FIELDS = ("class", "location", "checksum", "size", "format")
_INPUTS = "/inputs/"
_DIGEST_LENGTH = 32
_NO_SCHEME = "cwl"


def asset_name(dag_id: str, output: str) -> str:
    """Return the name, and URI, of the asset that an output of a workflow is."""
    return _bounded(f"{SCHEME}{dag_id}/{quote(output, safe='')}")


def input_asset_name(dag_id: str, name: str) -> str:
    """Return the name, and URI, of the asset that stands for whatever an input of a workflow is given."""
    return _bounded(f"{SCHEME}{dag_id}{_INPUTS}{quote(name, safe='')}")


def output_named(asset: str) -> tuple[str, str] | None:
    """Return ``(dag_id, output)`` of an asset's name, or None for an asset that is no output of a workflow."""
    if not asset.startswith(SCHEME):
        return None
    dag_id, _, output = asset[len(SCHEME) :].partition("/")
    return (dag_id, unquote(output)) if dag_id and output and "/" not in output else None


def is_input_asset(asset: str) -> bool:
    """Whether an asset's name is that of an input of a workflow."""
    return asset.startswith(SCHEME) and asset[len(SCHEME) :].partition("/")[2].startswith(_INPUTS[1:])


def file_outputs(plan: Plan) -> list[Parameter]:
    """Return the outputs that can hold files."""
    return [output for output in plan.outputs if holds_files(output.type)]


def holds_files(kind: object) -> bool:
    """Whether a value of a CWL type can hold a File or Directory: itself, in an array, a field, a union."""
    if isinstance(kind, list):
        return any(holds_files(item) for item in kind)
    if isinstance(kind, dict):
        parts = (kind.get("type"), kind.get("items"), [field.get("type") for field in kind.get("fields", ())])
        return any(holds_files(part) for part in parts)
    return kind in CLASSES


def outlets(dag_id: str, plan: Plan) -> list[Asset]:
    """Return the assets that a workflow's last task declares: one for each output that can hold files."""
    return [_asset(asset_name(dag_id, output.id)) for output in file_outputs(plan)]


def inlets(dag_id: str, plan: Plan) -> list[Asset]:
    """Return the assets that a workflow's first task declares: one for each input that can hold files.

    Who makes files for a workflow may name it as outlet, so that Airflow's graph shows what feeds the workflow. They
    are no aliases: for each alias among the inlets of a task, the task asks the API server before it begins.
    """
    return [_asset(input_asset_name(dag_id, item.id)) for item in plan.inputs if holds_files(item.type)]


def delivered(dag_id: str, run_id: str, plan: Plan, outputs: CwlObject) -> Iterator[tuple[Asset, dict[str, Any]]]:
    """Yield the assets that a run has delivered, each with the ``extra`` of its event; null is no output."""
    for output in file_outputs(plan):
        value = outputs.get(output.id)
        if value is not None:
            yield _asset(asset_name(dag_id, output.id)), event_extra(dag_id, run_id, output.id, value)


def event_extra(dag_id: str, run_id: str, output: str, value: object) -> dict[str, object]:
    """Return what the event of an output says.

    ``{"dag_id", "run_id", "output", "files", "bytes", "items": [{"class", "location", "checksum", "size", "format"}],
    "left_out"}``: ``files`` counts Files and Directories with the secondary ones, ``bytes`` is their size, and
    ``left_out`` says how many ``items`` does not name; 0 where it has them all. For one File or Directory its fields
    stand beside ``items``, too.
    """
    found = list(_in_order(value))
    items = _bounded_items(_described(item) for item in found)
    alone = items[0] if found and found[0] is value and items else {}
    return {
        **alone,
        "dag_id": dag_id,
        "run_id": run_id,
        "output": output,
        "files": len(found),
        "bytes": total_size(value),
        "items": items,
        "left_out": len(found) - len(items),
    }


def _asset(name: str) -> Asset:
    """Return an asset whose URI is its name, as Airflow makes it from names as ours.

    For the URI of a scheme Airflow asks all installed providers for one that knows it. None knows ours, but that of
    Amazon alone takes half a second to import, which each task of a workflow with files would do.
    """
    from airflow.sdk import Asset

    made = Asset(name, _NO_SCHEME)
    object.__setattr__(made, "uri", name)  # by itself the class would convert it as it does what is given
    return made


def _in_order(value: object) -> Iterator[Mapping[str, object]]:
    """Yield the Files and Directories of an output in its order, each before its secondary files."""
    if isinstance(value, list):
        for item in value:
            yield from _in_order(item)
    elif isinstance(value, dict):
        if value.get("class") in CLASSES:
            yield value
        for item in value.values():
            yield from _in_order(item)


def _described(item: Mapping[str, object]) -> dict[str, object]:
    return {name: item[name] for name in _FIELDS if isinstance(item.get(name), (str, int))}


def _bounded_items(items: Iterator[dict[str, object]]) -> list[dict[str, object]]:
    kept: list[dict[str, object]] = []
    room = MAX_EXTRA_BYTES
    for item in items:
        room -= len(json.dumps(item))
        if room < 0 or len(kept) == MAX_ITEMS:
            break
        kept.append(item)
    return kept


def _bounded(name: str) -> str:
    """Return a name that Airflow takes; one that is too long ends with its digest."""
    if len(name) <= MAX_NAME:
        return name
    return name[: MAX_NAME - _DIGEST_LENGTH - 1] + "~" + hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]
