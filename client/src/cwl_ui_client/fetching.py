"""Bringing the outputs of a run from the server into a local folder, and checking that they are what it has."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from cwl_ui_client.errors import DownloadError, ServerError
from cwl_ui_client.models import Progress
from cwl_ui_client.steps import Answer, Download, Flow, Request, path_of, run_path
from cwl_ui_client.uploading import Report, silent

LOOPBACK = ("127.0.0.1", "localhost", "::1")
_SHA1 = "sha1$"


class Fetcher:
    """Copies what an output object names to ``outdir``: over HTTP, or on the same machine directly."""

    def __init__(
        self,
        url: str,
        dag_id: str,
        run_id: str,
        outdir: Path,
        report: Report = silent,
        *,
        source: str | None = None,
    ) -> None:
        """Make it for one run; ``source`` is the folder of its outputs, where the server tells it."""
        self.outdir = outdir
        self._report = report
        self._run = run_path(dag_id, run_id)
        self._source = source and source.rstrip("/") + "/"
        self._marker = f"/{quote(dag_id)}/{quote(run_id)}/"
        self._listed: dict[str, Mapping[str, object]] | None = None
        self._fetched: set[Path] = set()
        self._is_local = urlsplit(url).hostname in LOOPBACK

    def fetch(self, outputs: object) -> Flow[Any]:
        """Return the output object with the locations of the copies.

        Raises:
            DownloadError: a copy is not what the server says it is; it is removed.
            ServerError: a file can't be had, or is not listed.

        """
        if isinstance(outputs, list):
            items = []
            for item in outputs:
                items.append((yield from self.fetch(item)))
            return items
        if not isinstance(outputs, dict):
            return outputs
        if outputs.get("class") == "File" and outputs.get("location"):
            return (yield from self._placed(outputs, (yield from self._fetch_file(outputs))))
        if outputs.get("class") == "Directory" and outputs.get("location"):
            return (yield from self._placed(outputs, (yield from self._fetch_folder(outputs["location"]))))
        fetched = {}
        for key, value in outputs.items():
            fetched[key] = yield from self.fetch(value)
        return fetched

    def _placed(self, item: Mapping[str, object], target: Path) -> Flow[dict[str, object]]:
        inner: dict[str, object] = {}
        for key in ("secondaryFiles", "listing"):
            if key in item:
                inner[key] = yield from self.fetch(item[key])
        return {**item, **inner, "location": target.as_uri(), "path": str(target)}

    def _fetch_file(self, item: Mapping[str, object]) -> Flow[Path]:
        name, target = self._target(str(item["location"]))
        if not self._is_fetched(target):  # what an earlier run has left there is another file
            self._report(Progress("fetching", name))
            checksum = yield from self._copied(str(item["location"]), name, target)
            _verify(target, name, checksum, item)
            self._fetched.add(target)
        return target

    def _is_fetched(self, target: Path) -> bool:
        """Whether the output object named it before, or a folder that it is in."""
        return not self._fetched.isdisjoint((target, *target.parents))

    def _copied(self, location: str, name: str, target: Path) -> Flow[str]:
        """Make a copy, which gets its name once it is whole; return its SHA-1."""
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        local = Path(unquote(urlsplit(location).path))
        try:
            if self._is_local and os.access(local, os.R_OK) and local.is_file():
                shutil.copyfile(local, part)
                shutil.copymode(local, part)
                checksum = _sha1(part)
            else:
                checksum = yield Download(f"{self._run}/files{path_of(*name.split('/'))}", part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        return checksum

    def _fetch_folder(self, location: str) -> Flow[Path]:
        name, target = self._target(location)
        if self._is_fetched(target):
            return target
        target.mkdir(parents=True, exist_ok=True)
        if self._is_local and _copied_folder(Path(unquote(urlsplit(location).path)), target):
            self._fetched.add(target)
            return target
        base = location.rstrip("/")[: -len(quote(name))]
        for path, file in (yield from self._files()).items():
            if path.startswith(f"{name}/"):
                yield from self._fetch_file({**file, "location": base + quote(path)})
        return target

    def _files(self) -> Flow[dict[str, Mapping[str, object]]]:
        """Return all output files by path, asked for once; raise :class:`ServerError` if one is not listed."""
        if self._listed is None:
            listed: dict[str, Mapping[str, object]] = {}
            count, total = 0, None
            while total is None or count < total:
                params = {"offset": str(count)}
                answer: Answer = yield Request("GET", f"{self._run}/files", params=params, repeatable=True)
                part = answer.json()
                total = answer.total if answer.total is not None else len(part)
                listed |= {str(file["path"]): file for file in part}
                count += len(part)
                if len(listed) < count or (not part and count < total):
                    raise ServerError(f"The server lists {len(listed)} of the {total} output files; try again.")
            self._listed = listed
        return self._listed

    def _target(self, location: str) -> tuple[str, Path]:
        """Return the name of an output within the run's folder, and where its copy goes."""
        inside = self._source is not None and location.startswith(self._source)
        before, marker, rest = location.partition(str(self._source) if inside else self._marker)
        name = unquote(rest).strip("/")
        target = (self.outdir / name).absolute()
        if not marker or (inside and before) or not name or ".." in Path(name).parts:
            raise ServerError(f"The server names an output outside of the run's folder: {location}")
        return name, target


def _copied_folder(local: Path, target: Path) -> bool:
    """Copy a folder, if it is on this machine, and all of it may be read."""
    try:
        if not local.is_dir():
            return False
        shutil.copytree(local, target, dirs_exist_ok=True)
    except OSError:  # the server may be another user's: it sends what can't be copied
        return False
    return True


def _verify(target: Path, name: str, checksum: str, item: Mapping[str, object]) -> None:
    expected, size = item.get("checksum"), item.get("size")
    if isinstance(expected, str) and expected.startswith(_SHA1) and expected != _SHA1 + checksum:
        wrong = f"its checksum is {_SHA1}{checksum}, and should be {expected}"
    elif isinstance(size, int) and size != target.stat().st_size:
        wrong = f"it has {target.stat().st_size} bytes, and should have {size}"
    else:
        return
    target.unlink()
    raise DownloadError(f"{name} has not arrived as it is on the server: {wrong}. Try again.")


def _sha1(path: Path) -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
