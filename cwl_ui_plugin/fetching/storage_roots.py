"""Which places of object stores files of jobs may come from (``[cwl] storage_roots``), and what an address there means.

An entry is ``scheme://connection@bucket/prefix``: Airflow's Connection that is used for what begins with the rest. An
address of a job has no connection in it: ``s3://bucket/prefix/key``. What comes after the bucket is the key as it is,
as AWS's own tools have it: ``%``, ``?`` and ``#`` in it are characters like others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote

from cwl_ui_plugin.fetching.errors import HostNotAllowed, OtherContent

ROOTS_OPTION = "[cwl] storage_roots"
UPLOADS_OPTION = "[cwl] uploads_storage"
WORKFLOWS_OPTION = "[cwl] workflows_storage"
MAX_KEY = 1024
"""Bytes that a key of S3 may have."""
_SHOWN_CHARACTERS = 200
_MAX_PARTS = 100
"""Folders, one in the other, that a key may mean."""
_OTHERS = ("file", "local", "http", "https", "drs")
"""Schemes that mean something else: a storage root with one of these would open more than a store."""
_WITH_LINKS = ("sftp", "ssh")
"""Schemes of stores in which links lead out of a prefix."""
_SAME = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfss": "abfs", "adl": "abfs"}
"""Schemes that mean the stores of another one."""
_ROOT = re.compile(r"([a-z][a-z0-9+.-]*)://(?:([^@/\s]+)@)?([^@/\s?#]+)(?:/(.*))?", re.DOTALL)
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)/?(.*)", re.DOTALL)
_SLASH = re.compile(r"[/\\]")
_VERSION = "?versionId="
"""What s3fs takes for the version of an object, wherever it stands in a key."""


@dataclass(frozen=True)
class StorageRoot:
    """What begins with ``scheme://bucket/prefix``; the prefix is empty or ends with a slash.

    ``connection`` is the id of Airflow's Connection; None stands for what the machine itself may do. ``option`` is
    where the site names the place, for messages.
    """

    scheme: str
    bucket: str
    prefix: str
    connection: str | None
    option: str = field(default=ROOTS_OPTION, compare=False)

    @classmethod
    def parse(cls, text: str, option: str = ROOTS_OPTION) -> StorageRoot:
        """Read an entry of an option; raise ValueError with what is wrong."""
        match, named = _ROOT.fullmatch(text), repr(without_login(text))
        if match is None:
            raise ValueError(f"{named} is no place of a store: write s3://connection@bucket/prefix")
        scheme, connection, bucket, prefix = match.groups(default="")
        if scheme in _OTHERS:
            raise ValueError(f"{named}: {scheme}:// is no store of objects")
        if scheme in _WITH_LINKS:
            raise ValueError(f"{named}: links lead out of a prefix on {scheme}://, of which nothing is read")
        if "@" in prefix and not connection:
            raise ValueError(f"{named}: what is before the @ is no id of a Connection, which has no slash")
        if reason := key_problem(prefix):
            raise ValueError(f"{named}: {reason}")
        return cls(scheme, bucket, f"{prefix.removesuffix('/')}/" if prefix else "", connection or None, option)

    @property
    def url(self) -> str:
        """Return the place without its connection."""
        return f"{self.scheme}://{self.bucket}/{self.prefix}"

    @property
    def place(self) -> tuple[str, str]:
        """The scheme and the bucket."""
        return self.scheme, self.bucket

    def folder_in(self, location: str) -> str | None:
        """Return the folder directly below this place that an address is in; None for one that is elsewhere."""
        match = _ADDRESS.fullmatch(location)
        if match is None or (match[1].lower(), match[2]) != self.place or not match[3].startswith(self.prefix):
            return None
        return match[3][len(self.prefix) :].partition("/")[0] or None

    def holds(self, scheme: str, bucket: str, key: str, *, is_folder: bool) -> bool:
        """Whether a key, or all that is below it, is in this place."""
        within = f"{key}/" if is_folder and key else key
        return (scheme, bucket) == (self.scheme, self.bucket) and within.startswith(self.prefix)

    def overlaps(self, scheme: str, bucket: str, key: str, *, is_folder: bool) -> bool:
        """Whether a key is in this place, or a folder has some of this place in it."""
        above = f"{key}/" if is_folder and key else key
        is_above = is_folder and self.prefix.startswith(above)
        kinds = {_SAME.get(kind, kind) for kind in (scheme, self.scheme)}
        return len(kinds) == 1 and bucket == self.bucket and (above.startswith(self.prefix) or is_above)


@dataclass(frozen=True)
class StorageAddress:
    """A key, or what begins with it, and the root that lets it be read."""

    root: StorageRoot
    key: str

    @property
    def url(self) -> str:
        """The address as a job has it."""
        return f"{self.root.scheme}://{self.root.bucket}/{self.key}"

    def below(self, key: str) -> StorageAddress:
        """Return the address of another key, found below this one."""
        return StorageAddress(self.root, key)


@dataclass(frozen=True)
class StorageRules:
    """What may be read from object stores; nothing without roots.

    Nothing is read from what is ``closed``, such as outputs of runs, unless it is in one of the ``granted`` roots.
    """

    roots: tuple[StorageRoot, ...] = ()
    closed: tuple[StorageRoot, ...] = ()
    granted: tuple[StorageRoot, ...] = ()
    between_tasks: StorageRoot | None = None
    """Where tasks hand on files: whoever could name one would read what is another run's."""

    @classmethod
    def of(
        cls,
        texts: Iterable[str],
        closed: Iterable[StorageRoot] = (),
        granted: Iterable[StorageRoot] = (),
        between_tasks: StorageRoot | None = None,
    ) -> StorageRules:
        """Read entries; raise ValueError with what is wrong."""
        roots = tuple(StorageRoot.parse(text.strip()) for text in texts if text.strip())
        places = [(root.scheme, root.bucket, root.prefix) for root in roots]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(f"{without_login('{}://{}/{}'.format(*place))!r} is named twice")
        return cls(roots, tuple(closed), tuple(granted), between_tasks)

    def hides(self, address: StorageAddress) -> bool:
        """Whether a key below a folder that may be looked into is where nothing is read."""
        places = [*self.closed, *([self.between_tasks] if self.between_tasks else [])]
        return any(place.overlaps(*address.root.place, address.key, is_folder=False) for place in places)

    @property
    def schemes(self) -> list[str]:
        """The schemes that something may be read from."""
        return sorted({root.scheme for root in self.roots})

    def address(self, location: str, *, is_folder: bool = False, whole: bool = True) -> StorageAddress:
        """Return what an address of a job means; of several roots that hold it, the innermost.

        Without ``whole``, a folder may have something below it that is not read, such as uploads and outputs.

        Raises:
            HostNotAllowed: it is in none of the roots, or names a login; with the option that allows places.
            OtherContent: there is no such key.

        """
        match = _ADDRESS.fullmatch(location)
        if match is None:
            raise OtherContent(f"{shown(without_login(location))} is no address in a store: write s3://bucket/key.")
        scheme, bucket, key = match[1].lower(), match[2], match[3]
        if "@" in bucket:
            raise HostNotAllowed(
                f"The address {shown(without_login(location))} names a login or a connection. Leave it out: an "
                "administrator says in [cwl] storage_roots which one is used."
            )
        key = key.removesuffix("/") if is_folder else key
        place, above = (key, is_folder) if whole else (f"{key}/" if key else "", False)
        closed = [root for root in self.closed if root.overlaps(scheme, bucket, place, is_folder=above)]
        roots = self.granted if closed else self.roots
        found = [root for root in roots if root.holds(scheme, bucket, key, is_folder=is_folder)]
        named = shown(location if found else without_login(location))
        reason = key_problem(key) or (None if is_folder else _file_problem(key))
        if reason:
            raise OtherContent(f"{named}: {reason}.")
        if self.between_tasks and self.between_tasks.overlaps(scheme, bucket, place, is_folder=above):
            raise HostNotAllowed(
                f"No job can name {named}: it is, or holds, where the tasks of all runs hand on their files ([cwl] "
                "intermediate_storage)."
            )
        if not found:
            raise HostNotAllowed(_closed_to_jobs(named, closed))
        return StorageAddress(max(found, key=lambda root: len(root.prefix)), key)


def _closed_to_jobs(named: str, closed: Sequence[StorageRoot]) -> str:
    """Return why no job reads from a place; ``closed`` are the places that it overlaps, of which each has its owner."""
    if any(root.option == UPLOADS_OPTION for root in closed):
        return (
            f"{named} is an upload of somebody else, was removed, or is a folder with uploads in it: upload the file "
            "yourself."
        )
    if closed:
        return (
            f"{named} is in a place of outputs of runs, or has one in it: an input may come from there if you may see "
            "the workflow that has made it, and start the run on the pages of CWL or with their API."
        )
    return (
        f"This site reads nothing from {named}. An administrator can allow the bucket, or a prefix in it, in [cwl] "
        "storage_roots."
    )


def is_stored(location: str) -> bool:
    """Whether a location is an address in a store: of any scheme that means nothing else."""
    match = _ADDRESS.match(location)
    return match is not None and match[1].lower() not in _OTHERS


def key_in(location: str) -> str:
    """Return the key in an address; without one, the bucket."""
    match = _ADDRESS.fullmatch(location)
    return (match[3] or match[2]) if match else ""


def uri_of(location: str) -> str:
    """Return an address in a store as a URI: with what is no character of one escaped."""
    scheme, sign, rest = location.partition("://")
    return f"{scheme.lower()}{sign}{quote(rest, safe='/')}"


def shown(location: str, most: int = _SHOWN_CHARACTERS) -> str:
    """Return an address, or a part of one, for messages and logs: its control characters as escapes, its end cut."""
    start = location[:most]
    text = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in start)
    return text if len(location) <= most else f"{text}..."


def without_login(address: str) -> str:
    """Return an address, or an entry of the option, without what is before its last ``@``, which may be a login."""
    _before, sign, rest = address.rpartition("@")
    return f"...@{rest}" if sign else address


def key_problem(key: str) -> str | None:
    """Return why nothing with this key, or below it, is read."""
    if len(key.encode("utf-8", "replace")) > MAX_KEY:
        return f"a key may have {MAX_KEY} bytes"
    if "\0" in key or _VERSION in key:
        return f"a key may hold neither a null character nor {_VERSION}"
    if any(part in (".", "..") for part in _SLASH.split(key)):
        return "a key with . or .. between slashes is not read: what it means depends on the store"
    if key.count("/") >= _MAX_PARTS:
        return f"a key may have {_MAX_PARTS} parts between slashes"
    return None


def _file_problem(key: str) -> str | None:
    if not key or key.endswith("/"):
        return "a file has a key, which does not end with a slash; give a Directory if you mean all that is below it"
    return None
