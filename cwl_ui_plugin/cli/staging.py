"""Giving a server the files of a job: by name where it sees them, else by sending them."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from cwl_ui_plugin.cli.client import Client, path_of
from cwl_ui_plugin.cli.errors import UsageError
from cwl_ui_plugin.cwl.files import local_path, local_paths

REMOTE = ("http", "https")


class Stager:
    """Makes a job that a server can read from one that names local files."""

    def __init__(self, client: Client, dag_id: str) -> None:
        self.client = client
        self.dag_id = dag_id
        self._secondary: dict[Path, list[Path]] = {}
        self._folders: dict[Path, str] = {}
        self._sent: dict[Path, str] = {}

    def stage(self, job: dict[str, Any], basedir: Path) -> dict[str, Any]:
        """Return the job with locations that the server can read; raise :class:`UsageError` for a missing file."""
        local = _mapped(job, lambda item: _located(item, basedir))
        paths = sorted({str(path) for path in local_paths(local)})
        visible: dict[str, bool] = {}
        if paths:
            visible = self.client.post("/inputs/visible", json={"paths": paths})["visible"]
        if not all(visible.get(path) for path in paths):
            self._ask_for_secondary_files(local)
        staged: dict[str, Any] = _mapped(local, lambda item: self._stage_item(item, visible))
        return staged

    def _stage_item(self, item: dict[str, Any], visible: dict[str, bool]) -> dict[str, Any]:
        path = local_path(item)
        if path is None or visible.get(str(path)):
            return item
        if item["class"] == "Directory":
            return self._send_folder(item, path)
        for secondary in self._secondary.get(path.parent, []):
            self._send_beside(secondary, path.parent)
        return {**item, "location": self._send(path, path.name, path.parent)}

    def _ask_for_secondary_files(self, job: dict[str, Any]) -> None:
        """Learn from the server which files the workflow's patterns name; keep those that are there, by folder."""
        answer = self.client.post(f"/workflows{path_of(self.dag_id)}/secondary-files", json={"job": job})
        folders = {path.parent for path in local_paths(job)}
        for location in answer["locations"]:
            path = local_path({"location": location})
            if path is None or not path.exists():
                continue
            # The nearest folder of a file: a pattern may name what is in a folder beside it.
            if folder := next((parent for parent in path.parents if parent in folders), None):
                self._secondary.setdefault(folder, []).append(path)

    def _send_beside(self, path: Path, folder: Path) -> None:
        for file in [path] if path.is_file() else _files_in(path):
            self._send(file, file.relative_to(folder).as_posix(), folder)

    def _send_folder(self, item: dict[str, Any], path: Path) -> dict[str, Any]:
        """Send a folder; one that has empty folders in it becomes a literal, as of these there is nothing to send."""
        location = None
        for file in _files_in(path):
            sent = self._send(file, file.relative_to(path.parent).as_posix(), path.parent)
            location = location or _up(sent, len(file.relative_to(path).parts))
        if location is None or any(not any(folder.iterdir()) for folder in _folders_in(path)):
            return self._literal(path)
        return {**item, "location": location}

    def _literal(self, path: Path) -> dict[str, Any]:
        """Return what is at a path as a Directory literal of files that were sent."""
        if path.is_dir():
            listing = [self._literal(entry) for entry in sorted(path.iterdir()) if entry.is_dir() or entry.is_file()]
            return {"class": "Directory", "basename": path.name, "listing": listing}
        return {"class": "File", "location": self._sent[path]}

    def _send(self, path: Path, name: str, folder: Path) -> str:
        """Send a file, once; files of one folder stay together, so that secondary files are found."""
        if path not in self._sent:
            params = {"name": name, "folder": self._folders.setdefault(folder, str(uuid.uuid4()))}
            with path.open("rb") as file:
                answer = self.client.post("/inputs", params=params, content=iter(lambda: file.read(1 << 20), b""))
            self._sent[path] = answer["location"]
        return self._sent[path]


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


def _up(location: str, levels: int) -> str:
    return location.rsplit("/", levels)[0]


def _mapped(node: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return ``node`` with every File and Directory in it changed, inner ones first."""
    if isinstance(node, list):
        return [_mapped(item, change) for item in node]
    if isinstance(node, dict):
        inner = {key: _mapped(value, change) for key, value in node.items()}
        return change(inner) if inner.get("class") in ("File", "Directory") else inner
    return node


def _located(item: dict[str, Any], basedir: Path) -> dict[str, Any]:
    """Return a File or Directory with an absolute location, if it has one at all."""
    location = item.get("location", item.get("path"))
    if not isinstance(location, str) or urlsplit(location).scheme in REMOTE:
        return item
    path = _path(location, basedir)
    if not path.exists():
        raise UsageError(f"There is no input file {path}.")
    rest = {key: value for key, value in item.items() if key != "path"}
    return {**rest, "location": path.as_uri()}


def _path(location: str, basedir: Path) -> Path:
    if location.startswith("file://"):
        return Path(unquote(urlsplit(location).path))
    plain = Path(os.path.normpath(basedir / location))
    return plain if plain.exists() else Path(os.path.normpath(basedir / unquote(location)))
