"""The index of a bucket of workflows: what is current of each, and where its versions are. All in it is checked."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from cwl_ui_plugin.library.compilations import FIRST_LAYOUT
from cwl_ui_plugin.library.errors import StoreAway
from cwl_ui_plugin.library.revisions import Revision
from cwl_ui_plugin.library.versions import is_dag_id, is_digest

FORMAT = 1
_HIGHEST = 2**62
_HEX = re.compile(r"[0-9a-f]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Archive:
    """A version with its compilations, as an object: its checksum, which names it, and its size in bytes."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Removed:
    """A version that was removed at a time (seconds since 1970); its object stays for a while."""

    dag_id: str
    digest: str
    archive: Archive
    at: float


@dataclass(frozen=True)
class Entry:
    """A workflow: ``current``, ``schedule`` and ``approvals`` are digests, ``layout`` is that of its current version.

    ``numbers`` are those of removed versions, too. Without ``current`` it was deleted.
    """

    versions: Mapping[str, Archive] = field(default_factory=dict)
    numbers: Mapping[str, int] = field(default_factory=dict)
    current: str | None = None
    layout: str = FIRST_LAYOUT
    schedule: str | None = None
    approvals: str | None = None

    @property
    def revision(self) -> str | None:
        """What new runs are pinned to; None where it was deleted."""
        return self.current and str(Revision(self.current, self.layout, self.schedule, self.approvals))

    def with_version(self, digest: str, archive: Archive) -> Entry:
        """Return the same with a version, which gets the next number unless it has one."""
        numbers = {**self.numbers}
        numbers.setdefault(digest, max(numbers.values(), default=0) + 1)
        return replace(self, versions={**self.versions, digest: archive}, numbers=numbers)

    def without_version(self, digest: str) -> Entry:
        """Return the same without a version; its number is not given to another."""
        return replace(self, versions={name: one for name, one in self.versions.items() if name != digest})


@dataclass(frozen=True)
class Index:
    """All workflows. ``serial`` grows with each change; ``id`` is that of the bucket's first index, for good."""

    id: str
    serial: int = 0
    entries: Mapping[str, Entry] = field(default_factory=dict)
    removed: tuple[Removed, ...] = ()
    written: str = ""
    """Names the one who wrote it: by it an index is known again whose answer was lost."""

    @classmethod
    def new(cls) -> Index:
        """Return the first index of a bucket."""
        return cls(uuid.uuid4().hex, written=uuid.uuid4().hex)

    def having(self, dag_id: str, entry: Entry | None) -> Index:
        """Return the next index, in which a workflow is like this, or is not."""
        entries = {name: one for name, one in self.entries.items() if name != dag_id}
        if entry is not None:
            entries[dag_id] = entry
        return self.next(entries)

    def next(self, entries: Mapping[str, Entry], removed: Iterable[Removed] | None = None) -> Index:
        """Return the next index, with these workflows."""
        gone = self.removed if removed is None else tuple(removed)
        return Index(self.id, self.serial + 1, entries, gone, uuid.uuid4().hex)

    @cached_property
    def manifest(self) -> dict[str, str]:
        """``{dag_id: revision}`` of the current versions, sorted by name."""
        found = ((dag_id, entry.revision) for dag_id, entry in sorted(self.entries.items()))
        return {dag_id: revision for dag_id, revision in found if revision}

    def archive(self, dag_id: str, digest: str) -> Archive | None:
        """Return where a version is, also one that was removed not long ago."""
        entry = self.entries.get(dag_id)
        if entry and digest in entry.versions:
            return entry.versions[digest]
        return next((one.archive for one in self.removed if (one.dag_id, one.digest) == (dag_id, digest)), None)

    def is_later_than(self, other: Index) -> bool:
        """Whether it is a later state of the same bucket, or the same one."""
        return self.id == other.id and self.serial >= other.serial

    def to_json(self) -> str:
        """Return it as it is kept."""
        entries = {dag_id: _told(entry) for dag_id, entry in self.entries.items()}
        removed = [[one.dag_id, one.digest, one.archive.sha256, one.archive.size, one.at] for one in self.removed]
        data = {"format": FORMAT, "id": self.id, "serial": self.serial, "written": self.written}
        return json.dumps({**data, "workflows": entries, "removed": removed}, separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, content: bytes) -> Index:
        """Read one; raise :class:`StoreAway` for what is none of this version of the plugin."""
        try:
            data = json.loads(content)
            if data["format"] != FORMAT:
                raise ValueError(f"its format is {data['format']!r}")
            entries = {_name(dag_id): _entry(told) for dag_id, told in data["workflows"].items()}
            removed = tuple(Removed(_name(one[0]), *_digest(one)) for one in data["removed"])
            return cls(_hex(data["id"]), _count(data["serial"]), entries, removed, _hex(data["written"]))
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise StoreAway(
                "The index of the bucket of workflows ([cwl] workflows_storage) can't be read, be it damaged or of "
                f"another version of cwl-ui-plugin: {error}. Nothing is changed by it."
            ) from error


def _told(entry: Entry) -> dict[str, object]:
    versions = {digest: [one.sha256, one.size] for digest, one in entry.versions.items()}
    chosen = {"current": entry.current, "layout": entry.layout, "schedule": entry.schedule}
    return {"versions": versions, "numbers": dict(entry.numbers), "approvals": entry.approvals, **chosen}


def _entry(told: Mapping[str, object]) -> Entry:
    versions, numbers = told["versions"], told["numbers"]
    if not isinstance(versions, dict) or not isinstance(numbers, dict):
        raise ValueError("versions are no mapping")
    current = told["current"]
    if current is not None and current not in versions:
        raise ValueError("what is current is no version")
    return Entry(
        versions={_version(digest): _archive(*one) for digest, one in versions.items()},
        numbers={_version(digest): _count(number) for digest, number in numbers.items()},
        current=None if current is None else str(current),
        layout=_hex(told["layout"]) if told["layout"] else FIRST_LAYOUT,
        schedule=_hex(told["schedule"]) if told["schedule"] else None,
        approvals=_hex(told["approvals"]) if told["approvals"] else None,
    )


def _digest(one: list[object]) -> tuple[str, Archive, float]:
    _dag_id, digest, sha256, size, at = one
    return _version(digest), _archive(sha256, size), float(str(at))


def _archive(sha256: object, size: object) -> Archive:
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256) or _count(size) < 0:
        raise ValueError("an archive is none")
    return Archive(sha256, _count(size))


def _count(number: object) -> int:
    if not isinstance(number, int) or abs(number) > _HIGHEST:
        raise ValueError(f"{str(number)[:80]!r} is no number of ours")
    return int(number)


def _name(dag_id: object) -> str:
    if not isinstance(dag_id, str) or not is_dag_id(dag_id):
        raise ValueError(f"{str(dag_id)[:80]!r} can't be a dag_id")
    return dag_id


def _version(digest: object) -> str:
    if not isinstance(digest, str) or not is_digest(digest):
        raise ValueError(f"{str(digest)[:80]!r} is no digest")
    return digest


def _hex(text: object) -> str:
    if not isinstance(text, str) or not _HEX.fullmatch(text) or len(text) > len("0" * 64):
        raise ValueError(f"{str(text)[:80]!r} is no digest")
    return text
