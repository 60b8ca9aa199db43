"""Files of a job that are on the network (http, https, drs): fetched before the first step, once for all runs.

::

    <tmp_folder>/.fetched/<key>/<name>     a file that was fetched; the key is made from address and checksum
    <tmp_folder>/.fetched/<key>.lock       there while a task fetches it, or looks whether it is there

Whoever knows the address may have the file, which may hold a key; no job can name it here, and nobody can list these
files. It is kept for ``[cwl] keep_fetched_days`` after its last use, and not asked for again meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import file_objects
from cwl_ui_plugin.cwl.jobs.file_objects import name_problem
from cwl_ui_plugin.cwl.jobs.types import is_remote
from cwl_ui_plugin.fetching.errors import FetchError, TooMuch
from cwl_ui_plugin.file_locks import held

_NAMELESS = "download"


def brought(job: Mapping[str, object], check_stopped: Callable[[], None]) -> dict[str, object]:
    """Return a checked job with all of its files here. ``check_stopped`` is called often; what it raises ends it.

    Raises:
        StepError: a file can't be fetched, or is not what its checksum says; ``temporaryFail`` where that may pass.
        OSError: it can't be written.

    """
    try:
        return _Bringing(check_stopped).job(job)
    except FetchError as error:
        kind = "temporaryFail" if error.may_pass else "permanentFail"
        raise StepError(f"An input can't be fetched: {error}", kind=kind) from error


def fetched_from(job: Mapping[str, object]) -> dict[Path, str]:
    """Return the folders that files of a job on the network come to, each with the address that the job has of it."""
    found: dict[Path, str] = {}
    for item in file_objects(job):
        location = item.get("location")
        if isinstance(location, str) and is_remote(location):
            with suppress(FetchError):
                found[_place(location, _expected(item.get("checksum")))] = location
    return found


def _place(location: str, expected: Mapping[str, str]) -> Path:
    """Return the folder of a file with an address and checksums; the scheme may be in capitals."""
    scheme, sign, rest = location.partition("://")
    named = json.dumps([f"{scheme.lower()}{sign}{rest}", expected], sort_keys=True)
    return config.fetched_folder() / hashlib.sha256(named.encode()).hexdigest()


def _expected(checksum: object) -> Mapping[str, str]:
    from cwl_ui_plugin.fetching.checksums import of_file_object

    return of_file_object(checksum) if checksum else {}


class _Bringing:
    """The files of one job, which are bounded together; one that is here already counts as one that is fetched."""

    def __init__(self, check_stopped: Callable[[], None]) -> None:
        self._check_stopped = check_stopped
        self._files = int(config.number("max_fetched_files"))
        self._size = self._left = int(config.number("max_fetched_size"))
        self._here: dict[Path, Path] = {}

    def job(self, job: Mapping[str, object]) -> dict[str, object]:
        """Return the job with its files here."""
        return {name: self._local(value) for name, value in job.items()}

    def _local(self, value: object) -> object:
        if isinstance(value, list):
            return [self._local(item) for item in value]
        if not isinstance(value, dict):
            return value
        here = {name: self._local(item) for name, item in value.items()}
        if value.get("class") == "File" and is_remote(value.get("location")):
            path = self._file(value["location"], here.pop("checksum", None))
            here |= {"location": path.as_uri(), "basename": value.get("basename") or path.name}
        return here

    def _file(self, location: str, checksum: object) -> Path:
        expected = _expected(checksum)
        place = _place(location, expected)
        if place not in self._here:
            if len(self._here) >= self._files:
                raise TooMuch(f"The job names more than {self._files} files on the network ([cwl] max_fetched_files).")
            path = self._brought(location, expected, place)
            self._left -= path.stat().st_size
            if self._left < 0:
                raise TooMuch(
                    f"The files from the network that the job names have more than {self._size} bytes together ([cwl] "
                    "max_fetched_size)."
                )
            self._here[place] = path
        return self._here[place]

    def _brought(self, location: str, expected: Mapping[str, str], place: Path) -> Path:
        with held(place.with_name(f"{place.name}.lock"), self._check_stopped):
            if not last_use.use(place, place.parent):
                _fetch(location, expected, place, self._left, self._check_stopped)
            return next(path for path in place.iterdir() if path.is_file())


def _fetch(
    location: str, expected: Mapping[str, str], place: Path, most: int, check_stopped: Callable[[], None]
) -> None:
    from cwl_ui_plugin.fetching import drs, site
    from cwl_ui_plugin.fetching.fetch import fetch_file, name_in

    rules, url, headers, name = site.host_rules(), location, {}, None
    sums = dict(expected)
    if location.startswith(f"{drs.SCHEME}://"):
        found = drs.resolve(location, rules, site.document_limits())
        url, headers, name = found.url, dict(found.headers), found.name
        sums = {**found.checksums, **expected}
    if name is None or name_problem(name):
        name = name_in(url if name is None else location)
    made = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    made.mkdir()
    try:
        target = made / (_NAMELESS if name_problem(name) else name)
        options: dict[str, Any] = {"headers": headers, "checksums": sums}
        limits = site.input_limits()
        if most < limits.size:
            limits = replace(limits, size=most, size_option="what is left of [cwl] max_fetched_size for this run")
        fetch_file(url, target, rules, limits, on_chunk=lambda _size: check_stopped(), **options)
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)
