"""Giving a server the files of a job: by name where it sees them, else by sending them, resumed after breaks."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

from cwl_ui_client.errors import Conflict, Unavailable, Unreachable, UsageError
from cwl_ui_client.models import Progress
from cwl_ui_client.names import SCHEME, local_path
from cwl_ui_client.steps import Answer, Flow, Pause, Request, get, path_of, post, workflow_path
from cwl_ui_client.uploading import Report, silent

REMOTE = ("http:", "https:", "drs:")
CLASSES = ("File", "Directory")
PART_BYTES = 8 << 20
"""Of a file that is sent; the server takes up to 16 MiB at a time."""
PATIENCE = 10
"""How often one part is tried, while nothing of the file arrives."""
RETRY_SECONDS = 1.0


class Stager:
    """Makes a job that a server can read from one that names local files."""

    def __init__(self, dag_id: str, report: Report = silent) -> None:
        self.dag_id = dag_id
        self._report = report
        self._secondary: dict[Path, list[Path]] = {}
        self._folders: dict[Path, str] = {}
        self._sent: dict[Path, str] = {}

    def stage(self, job: Mapping[str, object], basedir: Path) -> Flow[dict[str, object]]:
        """Return the job with locations that the server can read; raise :class:`UsageError` for a missing file."""
        local: dict[str, object] = _mapped(job, lambda item: _located(item, basedir))
        paths = sorted({str(path) for path in _local_paths(local)})
        visible: dict[str, bool] = {}
        if paths:
            visible = (yield from post("/inputs/visible", {"paths": paths}))["visible"]
        if not all(visible.get(path) for path in paths):
            yield from self._ask_for_secondary_files(local)
        staged: dict[str, object] = yield from self._staged(local, visible)
        return staged

    def _staged(self, node: object, visible: Mapping[str, bool]) -> Flow[Any]:
        """Return ``node`` with every File and Directory in it staged, inner ones first."""
        if isinstance(node, list):
            items = []
            for item in node:
                items.append((yield from self._staged(item, visible)))
            return items
        if not isinstance(node, dict):
            return node
        inner = {}
        for key, value in node.items():
            inner[key] = yield from self._staged(value, visible)
        return (yield from self._stage_item(inner, visible)) if inner.get("class") in CLASSES else inner

    def _stage_item(self, item: dict[str, object], visible: Mapping[str, bool]) -> Flow[dict[str, object]]:
        path = local_path(item)
        if path is None or visible.get(str(path)):
            return item
        if item["class"] == "Directory":
            return (yield from self._send_folder(item, path))
        for secondary in self._secondary.get(path.parent, []):
            for file in [secondary] if secondary.is_file() else _files_in(secondary):
                yield from self._send(file, path.parent)
        return {**item, "location": (yield from self._send(path, path.parent))}

    def _ask_for_secondary_files(self, job: dict[str, object]) -> Flow[None]:
        """Learn from the server which files the workflow's patterns name; keep those that are there, by folder."""
        answer = yield from post(f"{workflow_path(self.dag_id)}/secondary-files", {"job": job})
        folders = {path.parent for path in _local_paths(job)}
        for location in answer["locations"]:
            path = local_path({"location": location})
            if path is None or not path.exists():
                continue
            # The nearest folder of a file: a pattern may name what is in a folder beside it.
            if folder := next((parent for parent in path.parents if parent in folders), None):
                self._secondary.setdefault(folder, []).append(path)

    def _send_folder(self, item: dict[str, object], path: Path) -> Flow[dict[str, object]]:
        """Send a folder; one that has empty folders in it becomes a literal, as of these there is nothing to send."""
        location = None
        for file in _files_in(path):
            sent = yield from self._send(file, path.parent)
            location = location or sent.rsplit("/", len(file.relative_to(path).parts))[0]
        if location is None or any(not any(folder.iterdir()) for folder in _folders_in(path)):
            return self._literal(path)
        return {**item, "location": location}

    def _literal(self, path: Path) -> dict[str, object]:
        """Return what is at a path as a Directory literal of files that were sent."""
        if path.is_dir():
            listing = [self._literal(entry) for entry in sorted(path.iterdir()) if entry.is_dir() or entry.is_file()]
            return {"class": "Directory", "basename": path.name, "listing": listing}
        return {"class": "File", "location": self._sent[path]}

    def _send(self, path: Path, folder: Path) -> Flow[str]:
        """Send a file, once; files of one folder stay together, so that secondary files are found."""
        if path not in self._sent:
            together = self._folders.setdefault(folder, str(uuid.uuid4()))
            name = path.relative_to(folder).as_posix()
            file = yield from send_file(path, name=name, folder=together, report=self._report)
            self._sent[path] = file["location"]
        return self._sent[path]


def send_file(
    path: Path, *, name: str | None = None, folder: str | None = None, report: Report = silent
) -> Flow[dict[str, Any]]:
    """Send a file, and return it as a File object that a job may name.

    After a break it goes on where the server has got to. Raises :class:`UsageError` for a file that can't be read.
    """
    params = {"name": name or path.name, "folder": folder or str(uuid.uuid4())}
    try:
        file = path.open("rb")
    except OSError as error:
        raise UsageError(f"{path} can't be read: {error.strerror or error}.") from error
    with file:
        size = os.fstat(file.fileno()).st_size
        if size <= PART_BYTES:
            content = file.read()
            answer: Answer = yield Request("POST", "/inputs", params=params, content=content)
            report(Progress("sending", path.name, 1.0))
            return dict(answer.json())
        begun = yield from post("/inputs/parts", params={**params, "size": str(size)})
        return (yield from _send_parts(file, path, begun, report))


def _send_parts(file: BinaryIO, path: Path, state: dict[str, Any], report: Report) -> Flow[dict[str, Any]]:
    address, tries = f"/inputs/parts{path_of(state['id'])}", 0
    while not state.get("file"):
        report(Progress("sending", path.name, state["received"] / state["size"]))
        file.seek(state["received"])
        content = file.read(PART_BYTES)
        if not content:
            raise UsageError(f"{path} has become shorter while it was sent.")
        try:
            params = {"offset": str(state["received"])}
            answer: Answer = yield Request("PUT", address, params=params, content=content)
            state, tries = answer.json(), 0
        except (Unreachable, Unavailable, Conflict):
            # A part may have arrived although its answer did not: the server says where to go on.
            tries += 1
            if tries >= PATIENCE:
                raise
            yield Pause(RETRY_SECONDS)
            before = state["received"]
            state = yield from get(address)
            tries = 0 if state["received"] > before else tries
    report(Progress("sending", path.name, 1.0))
    return dict(state["file"])


def _folders_in(path: Path) -> Iterator[Path]:
    """Yield a folder and all folders in it, links to folders followed; raise :class:`UsageError` for a loop."""
    waiting = [(path, {path.resolve()})]
    while waiting:
        folder, around = waiting.pop()
        yield folder
        for entry in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
            if entry.resolve() in around:
                raise UsageError(f"{entry} is a link to a folder that it is in itself; it has no end.")
            waiting.append((entry, around | {entry.resolve()}))


def _files_in(path: Path) -> list[Path]:
    return sorted(entry for folder in _folders_in(path) for entry in folder.iterdir() if entry.is_file())


def _local_paths(node: object) -> Iterator[Path]:
    """Yield the path of every File and Directory in a job, at any depth."""
    if isinstance(node, list):
        for item in node:
            yield from _local_paths(item)
    elif isinstance(node, dict):
        if node.get("class") in CLASSES and (path := local_path(node)) is not None:
            yield path
        for value in node.values():
            yield from _local_paths(value)


def _mapped(node: object, change: Callable[[dict[str, object]], dict[str, object]]) -> Any:
    """Return ``node`` with every File and Directory in it changed, inner ones first; a Path is one, too."""
    if isinstance(node, Path):
        return change({"class": "Directory" if node.is_dir() else "File", "location": str(node)})
    if isinstance(node, (list, tuple)):
        return [_mapped(item, change) for item in node]
    if isinstance(node, Mapping):
        inner = {key: _mapped(value, change) for key, value in node.items()}
        return change(inner) if inner.get("class") in CLASSES else inner
    return node


def _located(item: dict[str, object], basedir: Path) -> dict[str, object]:
    """Return a File or Directory with an absolute location, if it has one at all."""
    location = item.get("location", item.get("path"))
    if not isinstance(location, str) or location.lower().startswith(REMOTE):
        return item
    path = _path(location, basedir)
    if not path.exists():
        raise UsageError(f"There is no input file {path}.")
    rest = {key: value for key, value in item.items() if key != "path"}
    return {**rest, "location": path.as_uri()}


def _path(location: str, basedir: Path) -> Path:
    if location.startswith(SCHEME):
        found = local_path({"location": location})
        if found is None:
            raise UsageError(f"{location} is no address of a file.")
        return found
    plain = Path(os.path.normpath(basedir / location))
    return plain if plain.exists() else Path(os.path.normpath(basedir / unquote(location)))
