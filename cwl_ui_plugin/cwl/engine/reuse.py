"""Outputs of earlier runs of the same tool on the same inputs, kept by content.

::

    <folder>/<key>/result.json     outputs by full id
    <folder>/<key>/files/...       their files

The key is a hash over the compiled tool, the values that it reads (files by their contents), and the container engine.
A checksum in a value is not believed: tools write it into ``cwl.output.json``, and others would get their outputs.
An entry is complete or not there: it is built beside and renamed, and whoever comes second uses the first.
Its time says when it was used last, so that what nobody uses can be removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cwl_ui_plugin import last_use
from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import CLASSES, local_path, local_paths, objects_of
from cwl_ui_plugin.cwl.plan import StepDocument

RESULT_FILE = "result.json"
_FILES = "files"
_CHUNK = 1 << 20
# What tells a file or folder from another one, besides its contents.
_COMPARED = ("class", "basename", "contents", "format")


def reuse_key(step_document: StepDocument, values: object, engine: str, seen: dict[Path, object]) -> str | None:
    """Return the key of a step on these values, or None where the document asks for no reuse.

    What ``seen`` has is not read again: the elements of a scattered step share files.
    """
    if any(found.get("enableReuse") is not True for found in objects_of(step_document, ["WorkReuse"])):
        return None
    try:
        content = {"piece": _by_content(step_document, seen), "values": _by_content(values, seen), "engine": engine}
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()
    except RecursionError:
        return None


def kept(folder: Path, key: str) -> dict[str, object] | None:
    """Return the outputs that were stored under a key, if their files are still there."""
    try:
        if not last_use.use(folder / key):
            return None
        result: dict[str, Any] = json.loads((folder / key / RESULT_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    outputs: dict[str, object] = result["outputs"]
    return outputs if all(path.exists() for path in local_paths(outputs)) else None


def keep(folder: Path, key: str, outputs: Mapping[str, object]) -> None:
    """Store outputs under a key; a disk that is full, or somebody who was faster, is no error."""
    entry, building = folder / key, folder / f".{key}.{uuid.uuid4().hex}"
    try:
        (building / _FILES).mkdir(parents=True)
        moved = deliver(outputs, Destination(building / _FILES, root=building))
        text = json.dumps({"outputs": moved}).replace(building.as_uri(), entry.as_uri())
        (building / RESULT_FILE).write_text(text.replace(str(building), str(entry)), encoding="utf-8")
        building.rename(entry)
    except (OSError, StepError):
        shutil.rmtree(building, ignore_errors=True)


def _by_content(node: object, seen: dict[Path, object]) -> object:
    """Return values with every File and Directory as what is in it."""
    if isinstance(node, list):
        return [_by_content(item, seen) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("class") not in CLASSES:
        return {key: _by_content(value, seen) for key, value in node.items()}
    compared = {key: node[key] for key in _COMPARED if key in node}
    path = local_path(node)
    if path is not None:
        compared["content"] = _seen_digest(path, seen)
        if node.get("checksum") not in (None, compared["content"]):  # a tool may write that, and expressions read it
            compared["checksum"] = node["checksum"]
    for key in ("secondaryFiles", "listing"):
        if node.get(key):
            compared[key] = _by_content(node[key], seen)
    return compared


def _seen_digest(path: Path, seen: dict[Path, object]) -> object:
    if path not in seen:
        seen[path] = _digest(path)
    return seen[path]


def _digest(path: Path) -> object:
    """Return the checksum of a file as CWL writes it, or those of all files of a folder."""
    if path.is_dir():
        files = sorted(Path(parent, name) for parent, _folders, names in os.walk(path) for name in names)
        return [[file.relative_to(path).as_posix(), _digest(file)] for file in files]
    checksum = hashlib.sha1()  # noqa: S324 - CWL's checksums of files are SHA-1
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                checksum.update(chunk)
    except OSError:
        return None
    return f"sha1${checksum.hexdigest()}"
