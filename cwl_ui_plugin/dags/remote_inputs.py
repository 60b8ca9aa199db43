"""Files of a job that are on the network or in object stores: fetched before the first step, once for all runs.

::

    <tmp_folder>/.fetched/<key>/<name>     what was fetched; the key is made from address and checksum, and of what is
                                           in a store also from what that says of it
    <tmp_folder>/.fetched/<key>.lock       there while a task fetches it, or looks whether it is there

Whoever knows the address may have the file, which may hold a key; no job can name it here, and nobody can list these
files. It is kept for ``[cwl] keep_fetched_days`` after its last use, and not asked for again meanwhile; but a store is
asked whether it is still the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import file_objects
from cwl_ui_plugin.cwl.jobs.file_objects import name_problem
from cwl_ui_plugin.cwl.jobs.types import is_remote
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.stored_inputs import StoredFile, Wanted, bounded, plain_name, stored_file, stored_folder
from cwl_ui_plugin.dags.stored_secondary_files import secondary_patterns, with_those_beside
from cwl_ui_plugin.fetching import site
from cwl_ui_plugin.fetching.errors import FetchError, OtherContent, TooMuch
from cwl_ui_plugin.fetching.storage_roots import StorageRules, is_stored, shown
from cwl_ui_plugin.file_locks import held

_ADDRESS_DIGITS = 32
"""Of the key of what is in a store, those that are made from its address; the others tell what was there."""
_KINDS = ("File", "Directory")


def brought(
    job: Mapping[str, object],
    check_stopped: Callable[[], None],
    inputs: Iterable[Parameter] = (),
    storage: StorageRules | None = None,
) -> dict[str, object]:
    """Return a checked job with all of its files here. ``check_stopped`` is called often; what it raises ends it.

    Secondary files that the ``inputs`` of the workflow ask for are looked for beside objects of stores. ``storage``
    says what the run may read there, if that is more than everybody may.

    Raises:
        StepError: a file can't be fetched, or is not what its checksum says; ``temporaryFail`` where that may pass.
        OSError: it can't be written.

    """
    try:
        return _Bringing(check_stopped, inputs, storage or site.storage_rules()).job(job)
    except FetchError as error:
        kind = "temporaryFail" if error.may_pass else "permanentFail"
        raise StepError(f"An input can't be fetched: {error}", kind=kind) from error


class Origins:
    """Where what was fetched for a job came from."""

    def __init__(self, job: Mapping[str, object]) -> None:
        self._folder = config.fetched_folder()
        self._known: dict[str, str] = {}
        for item in file_objects(job):
            location = item.get("location")
            if isinstance(location, str) and is_remote(location):
                with suppress(FetchError):
                    key = _key(location, _expected(item.get("checksum")))
                    self._known[key[:_ADDRESS_DIGITS] if is_stored(location) else key] = location

    def address_of(self, path: Path) -> str:
        """Return the address that the job has of a file or folder; empty for what was not fetched for it."""
        parts = path.relative_to(self._folder).parts if path.is_relative_to(self._folder) else ()
        if len(parts) < 2:
            return ""
        key, _name, *below = parts
        location = self._known.get(key) or self._known.get(key[:_ADDRESS_DIGITS], "")
        return "/".join([location.removesuffix("/"), *below]) if location and below else location


def _key(location: str, expected: Mapping[str, str]) -> str:
    """Return the key of an address and checksums; the scheme may be in capitals, a folder end with a slash."""
    scheme, sign, rest = (location.removesuffix("/") if is_stored(location) else location).partition("://")
    return _digest([f"{scheme.lower()}{sign}{rest}", expected])


def _digest(named: object) -> str:
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()


def _expected(checksum: object) -> Mapping[str, str]:
    from cwl_ui_plugin.fetching.checksums import of_file_object

    return of_file_object(checksum) if checksum else {}


class _Bringing:
    """The files of one job, which are bounded together; one that is here already counts as one that is fetched."""

    def __init__(self, check_stopped: Callable[[], None], inputs: Iterable[Parameter], storage: StorageRules) -> None:
        self._storage = storage
        self._check_stopped = check_stopped
        self._patterns = {item.id: secondary_patterns(item) for item in inputs}
        self._files = self._files_left = int(config.number("max_fetched_files"))
        self._size = self._left = int(config.number("max_fetched_size"))
        self._here: dict[tuple[str, str], Path] = {}
        self._beside: dict[str, bool] = {}

    def job(self, job: Mapping[str, object]) -> dict[str, object]:
        """Return the job with its files here."""
        return {name: self._local(value, self._patterns.get(name, ())) for name, value in job.items()}

    def _local(self, value: object, patterns: Sequence[str] = ()) -> object:
        if isinstance(value, list):
            return [self._local(item, patterns) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("class") == "Directory" and is_stored(str(value.get("location"))):
            value = {name: item for name, item in value.items() if name != "listing"}  # it comes as a whole
        if patterns:
            value = with_those_beside(value, patterns, self._beside, self._storage, self._check_stopped)
        here = {name: self._local(item) for name, item in value.items()}
        kind, location = value.get("class"), value.get("location")
        if kind in _KINDS and isinstance(location, str) and is_remote(location):
            size = here.pop("size", None)
            path = self._path(kind, location, _expected(here.pop("checksum", None)), size)
            _check_size(location, path.stat().st_size, size)
            here |= {"location": path.as_uri(), "basename": value.get("basename") or path.name}
        return here

    def _path(self, kind: str, location: str, expected: Mapping[str, str], size: object) -> Path:
        key = _key(location, expected)
        if (kind, key) not in self._here:
            wanted = self._wanted(kind, location, expected, key)
            if isinstance(wanted, StoredFile):
                _check_size(location, wanted.found.size, size)
            self._here[kind, key] = self._brought(wanted, lambda path: _check_size(location, path.stat().st_size, size))
        return self._here[kind, key]

    def _wanted(self, kind: str, location: str, expected: Mapping[str, str], key: str) -> Wanted:
        """Return what is to be here; a store is asked for it now."""
        self._count(1)
        if not is_stored(location):
            return OnNetwork(key, location, expected)
        if kind == "File":
            return stored_file(location, expected, key[:_ADDRESS_DIGITS], self._storage, self._check_stopped)
        most = self._files_left + 1
        found = stored_folder(location, key[:_ADDRESS_DIGITS], most, self._storage, self._check_stopped)
        self._count(len(found.objects) - 1)
        return found

    def _count(self, more: int) -> None:
        self._files_left -= more
        if self._files_left < 0:
            raise TooMuch(f"The job names more than {self._files} files on the network ([cwl] max_fetched_files).")

    def _brought(self, wanted: Wanted, check: Callable[[Path], None]) -> Path:
        place = config.fetched_folder() / wanted.key
        with held(place.with_name(f"{place.name}.lock"), self._check_stopped):
            if not last_use.use(place, place.parent):
                _make(wanted, place, self._left, check, self._check_stopped)
            path = next(path for path in place.iterdir())
        self._left -= sum(part.stat().st_size for part in (path, *path.rglob("*")) if part.is_file())
        if self._left < 0:
            raise TooMuch(
                f"The files from the network that the job names have more than {self._size} bytes together ([cwl] "
                "max_fetched_size)."
            )
        return path


def _check_size(location: str, found: int, size: object) -> None:
    if size is None or found == size:
        return
    named = location if is_stored(location) else location.partition("#")[0].partition("?")[0]
    raise OtherContent(f"{shown(named)} is not what was announced: it has {found} bytes, not {size}.")


def _make(
    wanted: Wanted, place: Path, most: int, check: Callable[[Path], None], check_stopped: Callable[[], None]
) -> None:
    """Fetch something into its place, which is there with all of it, and passes ``check``, or not at all."""
    made = place.with_name(f".{place.name}.{uuid.uuid4().hex}")
    made.mkdir()
    try:
        wanted.fetch(made, most, check_stopped)
        check(next(made.iterdir()))
        made.rename(place)
    finally:
        shutil.rmtree(made, ignore_errors=True)


@dataclass(frozen=True)
class OnNetwork:
    """A file by http, https or drs."""

    key: str
    location: str
    expected: Mapping[str, str]

    def fetch(self, folder: Path, most: int, check_stopped: Callable[[], None]) -> None:
        """Put it into a folder."""
        from cwl_ui_plugin.fetching import drs, site
        from cwl_ui_plugin.fetching.fetch import fetch_file, name_in

        rules, url, headers, name = site.host_rules(), self.location, {}, None
        sums = dict(self.expected)
        if self.location.startswith(f"{drs.SCHEME}://"):
            found = drs.resolve(self.location, rules, site.document_limits())
            url, headers, name = found.url, dict(found.headers), found.name
            sums = {**found.checksums, **self.expected}
        if name is None or name_problem(name):
            name = name_in(url if name is None else self.location)
        target = folder / plain_name(name)
        options: dict[str, Any] = {"headers": headers, "checksums": sums}
        fetch_file(url, target, rules, bounded(most), on_chunk=lambda _size: check_stopped(), **options)
