"""What the files of an output object are called where they are delivered: each its own name, nothing mixed.

The first that comes with a name gets it. Others of the same name get a number: ``quant``, ``quant_2``, whether they are
Files or Directories. A File with secondary files is numbered as a whole, before its first dot, so that the patterns of
the secondary files still hold: ``a_2.bam``, ``a_2.bam.bai``. What is given twice under one name is delivered once; so
is what lies in a Directory that is delivered, too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TypedDict, TypeGuard

from cwl_ui_plugin.cwl.files import CLASSES

Key = tuple[str, str]
"""A location, and the basename under which it is given."""


FileObject = TypedDict(
    "FileObject",
    {
        "class": str,
        "location": str,
        "basename": str,
        "contents": str,
        "listing": list["FileObject"],
        "secondaryFiles": list["FileObject"],
    },
    total=False,
)
"""A File or Directory of which all is known that is needed here: what it is, where, and what a Directory lists."""


def is_file_object(node: object) -> TypeGuard[FileObject]:
    """Whether a value is a File or Directory."""
    return isinstance(node, dict) and node.get("class") in CLASSES


@dataclass
class Target:
    """What is to be at a place: a file or folder of ``source``, or ``contents``, or a folder made of ``children``."""

    name: str
    source: str
    is_folder: bool
    contents: str | None = None
    children: list[Target] = field(default_factory=list)


@dataclass
class _Group:
    """A File or Directory and its secondary files, which stay together; ``names`` is where each goes."""

    members: dict[Key, FileObject]
    names: dict[Key, str] = field(default_factory=dict)


class Targets:
    """The targets of an output object whose Directories all have their ``listing``.

    ``taken`` are names that are not to be used: what others have in the folder.
    """

    def __init__(self, outputs: object, taken: Collection[str] = ()) -> None:
        self._groups: dict[Key, _Group] = {}
        self._group_of: dict[Key, _Group] = {}
        self._inside: dict[Key, PurePosixPath] = {}
        self._outputs = outputs
        found = list(_outermost(outputs))
        self._choose(found)
        self._name(taken)
        self.targets = self._made()

    def delivered(self, as_location: Callable[[PurePosixPath], str]) -> dict[str, object]:
        """Return the output object with the names and locations of the targets; raise TypeError if it is none."""
        found = self._rewritten(self._outputs, as_location)
        if not isinstance(found, dict):
            raise TypeError("it maps no outputs to values")
        return found

    def _choose(self, found: list[FileObject]) -> None:
        """Find the groups to deliver: not what a folder, or another group, brings along."""
        inside = {key_of(item) for entry in found for item in _below(entry)}
        beside = {key_of(item) for entry in found for item in list(_members(entry))[1:]}
        for entry in found:
            members = {key_of(item): item for item in _members(entry)}
            if set(members) <= inside or (len(members) == 1 and key_of(entry) in beside):
                continue
            self._groups.setdefault(key_of(entry), _Group({})).members.update(members)
        for group in self._groups.values():
            for key in group.members:
                self._group_of.setdefault(key, group)

    def _name(self, taken: Collection[str]) -> None:
        used: dict[str, str] = dict.fromkeys(taken, "")
        wanted = {name for group in self._groups.values() for _location, name in group.members}
        tried: dict[tuple[str, ...], int] = {}  # a hundred thousand elements may each have made one of a name
        for group in self._groups.values():
            asked = tuple(name for _location, name in group.members)
            number = tried.get(asked, 1)
            while not _fits(names := _numbered(group, number), used, wanted if number > 1 else ()):
                number += 1
            tried[asked] = number
            group.names = names
            used.update({name: location for (location, _basename), name in names.items()})

    def _made(self) -> list[Target]:
        made: dict[str, Target] = {}
        for group in self._groups.values():
            for key, name in group.names.items():
                if name not in made:
                    made[name] = self._target(group.members[key], name, PurePosixPath())
        return list(made.values())

    def _target(self, item: FileObject, name: str, folder: PurePosixPath) -> Target:
        if item["class"] == "File":
            return Target(name, item["location"], False, item.get("contents") if is_literal(item) else None)
        names = _names_inside(item)
        for entry in _listing(item):
            self._inside.setdefault(key_of(entry), folder / name / names[key_of(entry)])
        children = [self._target(entry, names[key_of(entry)], folder / name) for entry in _distinct(item)]
        return Target(name, item["location"], True, None, children)

    def _rewritten(self, node: object, as_location: Callable[[PurePosixPath], str]) -> object:
        if isinstance(node, list):
            return [self._rewritten(item, as_location) for item in node]
        if is_file_object(node):
            return self._placed(node, self._place_of(node), as_location)
        if not isinstance(node, dict):
            return node
        return {key: self._rewritten(value, as_location) for key, value in node.items()}

    def _place_of(self, item: FileObject) -> Callable[[Key], PurePosixPath]:
        """Return where an outermost File or Directory and its secondary files go."""
        group = self._groups.get(key_of(item)) or self._group_of.get(key_of(item))
        if group is None:
            return lambda key: self._inside[key]
        return lambda key: PurePosixPath(group.names[key])

    def _placed(
        self,
        item: FileObject,
        place_of: Callable[[Key], PurePosixPath],
        as_location: Callable[[PurePosixPath], str],
    ) -> FileObject:
        place = place_of(key_of(item))
        placed: FileObject = {**item, "basename": place.name, "location": as_location(place)}
        placed.pop("contents", None)
        if item.get("secondaryFiles"):
            placed["secondaryFiles"] = [self._placed(entry, place_of, as_location) for entry in item["secondaryFiles"]]
        if item["class"] == "Directory":
            names = _names_inside(item)
            placed["listing"] = [
                self._placed(entry, lambda key: place / names[key], as_location) for entry in item["listing"]
            ]
        return placed


def key_of(item: FileObject) -> Key:
    """Return what tells a File or Directory from others: the same one under another name is another one."""
    return item["location"], item["basename"]


def is_literal(item: FileObject) -> bool:
    """Whether a File or Directory is not on a disk yet."""
    return str(item["location"]).startswith("_:")


def _outermost(node: object) -> Iterator[FileObject]:
    """Yield the Files and Directories that are not part of another one."""
    if isinstance(node, list):
        for item in node:
            yield from _outermost(item)
    elif is_file_object(node):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from _outermost(value)


def _members(item: FileObject) -> Iterator[FileObject]:
    """Yield a File or Directory, and all secondary files, which lie beside it."""
    yield item
    for secondary in item.get("secondaryFiles") or ():
        yield from _members(secondary)


def _listing(folder: FileObject) -> Iterator[FileObject]:
    """Yield what lies directly in a Directory."""
    for entry in folder["listing"]:
        yield from _members(entry)


def _below(item: FileObject) -> Iterator[FileObject]:
    """Yield all that lies in the Directories of a group."""
    for member in _members(item):
        if member["class"] == "Directory":
            for entry in _listing(member):
                yield entry
                yield from _below(entry) if entry["class"] == "Directory" else ()


def _distinct(folder: FileObject) -> list[FileObject]:
    return list({key_of(entry): entry for entry in _listing(folder)}.values())


def _names_inside(folder: FileObject) -> dict[Key, str]:
    """Return what the entries of a Directory are called in it: as they are, but no two alike."""
    return _without_clashes({key: key[1] for key in map(key_of, _listing(folder))})


def _numbered(group: _Group, number: int) -> dict[Key, str]:
    """Return the names of a group's members with a number in them; all of them keep their ends."""
    if number == 1:
        return _without_clashes({key: key[1] for key in group.members})
    if len(group.members) == 1:
        return {key: f"{key[1]}_{number}" for key in group.members}
    stem = _stem(next(iter(group.members))[1])
    return _without_clashes({key: _with_number(key[1], stem, number) for key in group.members})


def _with_number(name: str, stem: str, number: int) -> str:
    own = stem if name.startswith(stem) else _stem(name)
    return f"{own}_{number}{name[len(own) :]}"


def _stem(name: str) -> str:
    """Return what is before the first dot of a name, but for one that begins it."""
    return name[:1] + name[1:].partition(".")[0]


def _without_clashes(names: dict[Key, str]) -> dict[Key, str]:
    used: dict[str, str] = {}
    tried: dict[str, int] = {}
    result: dict[Key, str] = {}
    for (location, basename), name in names.items():
        number = tried.get(name, 1)
        chosen = name if number == 1 or used[name] == location else f"{name}_{number}"
        while used.get(chosen, location) != location:
            number += 1
            chosen = f"{name}_{number}"
        used[chosen] = location
        tried[name] = number
        result[location, basename] = chosen
    return result


def _fits(names: dict[Key, str], used: dict[str, str], others: Collection[str]) -> bool:
    """Whether names are free, or are of the same files already; ``others`` are the names that other groups ask for."""
    return all(used.get(name, key[0]) == key[0] and name not in others for key, name in names.items())
