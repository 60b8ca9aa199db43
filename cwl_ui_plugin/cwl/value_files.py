"""Values that are too large to be sent about, as files: long lists of theirs lie in parts, which are read one by one.

::

    <part>...<index>

A part is a JSON list of neighbours in a long list. The index, which is JSON too, has everything else: the value with
null in the place of each long list, and of each of these where it belongs and the size and SHA-256 of its parts.
Whoever knows the index by its SHA-256 can read any part alone and knows that it is what was written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, BinaryIO, overload

LONG = 200
"""Items; a list with more lies in parts."""
PART_BYTES = 256 * 1024
"""About how large a part is."""
MAX_PART = 64 * 1024 * 1024
MAX_INDEX = 64 * 1024 * 1024
_FIRST_ITEMS = 100
_MOST_ITEMS = 5000
_DIGEST = re.compile("[0-9a-f]{64}")
Open = Callable[[], BinaryIO]
Change = Callable[[object], object]
Path = tuple["str | int", ...]


class DamagedError(ValueError):
    """A file is not what was written."""


class TooLargeError(ValueError):
    """A value has more bytes than it may, or too many that are in no long list."""


@dataclass(frozen=True)
class Written:
    """What a file of values is known by: sizes in bytes, and the SHA-256 of the whole and of its index."""

    size: int
    sha256: str
    index_size: int
    index_sha256: str

    def as_json(self) -> dict[str, object]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def of(cls, told: object) -> Written | None:
        """Return what JSON says; None where it is none."""
        if not isinstance(told, dict) or told.keys() != {"size", "sha256", "index_size", "index_sha256"}:
            return None
        sizes, digests = (told["size"], told["index_size"]), (told["sha256"], told["index_sha256"])
        are_sizes = all(isinstance(size, int) and not isinstance(size, bool) for size in sizes)
        if not are_sizes or not 0 <= sizes[1] <= sizes[0] or sizes[1] > MAX_INDEX:
            return None
        if not all(isinstance(digest, str) and _DIGEST.fullmatch(digest) for digest in digests):
            return None
        return cls(sizes[0], digests[0], sizes[1], digests[1])


@dataclass(frozen=True)
class _Part:
    """Some items of a long list: how many, and where they are in the file."""

    count: int
    start: int
    size: int
    sha256: str


class LongList(Sequence[object]):
    """A list in a file: of its parts only the last one that was asked for is in memory.

    Reading raises :class:`DamagedError` where the file is another one by now, and :class:`OSError` where it is gone.
    """

    def __init__(self, open_file: Open, parts: Sequence[_Part], change: Change | None = None) -> None:
        self._open = open_file
        self._parts = parts
        self._change = change
        self._ends = list(accumulate(part.count for part in parts))
        self._last: tuple[int, list[object]] = (-1, [])

    def __len__(self) -> int:
        """Return how many items there are."""
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> object: ...
    @overload
    def __getitem__(self, index: slice) -> list[object]: ...
    def __getitem__(self, index: int | slice) -> object:
        """Return an item, or some as a list."""
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return self._between(start, stop)[::step] if step > 0 else [self[at] for at in range(start, stop, step)]
        at = range(len(self))[index]
        return self._between(at, at + 1)[0]

    def __iter__(self) -> Iterator[object]:
        """Yield the items."""
        for part in self.parts():
            yield from part

    def __eq__(self, other: object) -> bool:
        """Whether another list has the same items; these are read only where they may differ."""
        if not isinstance(other, (LongList, list)) or len(other) != len(self):
            return False
        if isinstance(other, LongList) and (self._digests, self._change) == (other._digests, other._change):
            return True
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def mapped(self, change: Change) -> LongList:
        """Return the list of what ``change`` makes of each item, when it is read."""
        before = self._change
        return LongList(self._open, self._parts, change if before is None else lambda item: change(before(item)))

    def parts(self, texts: Collection[str] = ()) -> Iterator[list[object]]:
        """Yield the items in lists; with ``texts``, only lists with an item that has one of these in it somewhere."""
        wanted = [json.dumps(text).encode() for text in texts]
        if not self._parts:
            return
        with self._open() as file:
            for part in self._parts:
                content = _checked(file, part.start, part.size, part.sha256)
                if not wanted or any(text in content for text in wanted):
                    yield self._items(content, part.count)

    def _between(self, start: int, stop: int) -> list[object]:
        """Return neighbours, from the parts alone that they are in."""
        found: list[object] = []
        first = 0
        for number, end in enumerate(self._ends):
            if start < end and first < stop:
                found += self._part(number)[max(0, start - first) : stop - first]
            first = end
        return found

    def _part(self, number: int) -> list[object]:
        if self._last[0] != number:
            part = self._parts[number]
            with self._open() as file:
                content = _checked(file, part.start, part.size, part.sha256)
            self._last = (number, self._items(content, part.count))
        return self._last[1]

    def _items(self, content: bytes, count: int) -> list[object]:
        items = _items(content, count)
        return items if self._change is None else [self._change(item) for item in items]

    @property
    def _digests(self) -> list[str]:
        return [part.sha256 for part in self._parts]


def write(value: object, file: BinaryIO, most: float) -> Written:
    """Write a value (JSON) into an empty file, and return what it is known by.

    Raises:
        TooLargeError: it has more than ``most`` bytes.
        OSError: it can't be written.

    """
    return _Writing(file, most).write(value)


def read(open_file: Open, known: Written) -> Any:
    """Return a value with a :class:`LongList` in the place of each long list; ``open_file`` is called again for these.

    Raises:
        DamagedError: the file is not what was written.
        OSError: it can't be read.

    """
    with open_file() as file:
        if file.seek(0, 2) != known.size:
            raise DamagedError("it has another size")
        content = _checked(file, known.size - known.index_size, known.index_size, known.index_sha256)
    try:
        index = json.loads(content)
        value, parts = index["value"], _placed(index["lists"], known.size - known.index_size)
        for (place, _parts), found in zip(index["lists"], parts, strict=True):
            value = _put(value, place, LongList(open_file, found))
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise DamagedError("it has no index") from error
    return value


def whole(value: object) -> Any:
    """Return a value with all of its lists in memory."""
    if isinstance(value, LongList):
        return list(value)
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return [whole(item) for item in value] if isinstance(value, list) else value


def has_long(value: object) -> bool:
    """Whether a value has a list that is in a file."""
    waiting = [value]
    while waiting:
        node = waiting.pop()
        if isinstance(node, LongList):
            return True
        if isinstance(node, (dict, list)):
            waiting += node.values() if isinstance(node, dict) else node
    return False


def texts_of(value: object) -> Iterator[str]:
    """Yield a value as JSON, in texts of which none has more than a part of a long list."""
    if isinstance(value, LongList):
        between = "["
        for part in value.parts():
            yield between + json.dumps(part, ensure_ascii=False)[1:-1]
            between = ", "
        yield "]" if len(value) else "[]"
    elif not has_long(value):
        yield json.dumps(value, ensure_ascii=False)
    elif isinstance(value, dict):
        for number, (key, item) in enumerate(value.items()):
            yield f"{', ' if number else '{'}{json.dumps(key, ensure_ascii=False)}: "
            yield from texts_of(item)
        yield "}"
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield ", " if number else "["
            yield from texts_of(item)
        yield "]"


def beginning(value: object, most: int) -> str:
    """Return the first ``most`` characters of a value as JSON, and one more where there are more."""
    found = ""
    for text in texts_of(value):
        found += text
        if len(found) > most:
            break
    return found[: most + 1]


class _Writing:
    def __init__(self, file: BinaryIO, most: float) -> None:
        self._file, self._most = file, most
        self._digest = hashlib.sha256()
        self._size = 0
        self._lists: list[tuple[Path, list[tuple[int, int, str]]]] = []

    def write(self, value: object) -> Written:
        rest = self._without_long(value, ())
        content = json.dumps({"value": rest, "lists": self._lists}).encode()
        if len(content) > MAX_INDEX:
            raise TooLargeError("most of it is in no list")
        self._add(content)
        return Written(self._size, self._digest.hexdigest(), len(content), hashlib.sha256(content).hexdigest())

    def _without_long(self, node: object, place: Path) -> object:
        if isinstance(node, dict):
            return {key: self._without_long(item, (*place, key)) for key, item in node.items()}
        if not isinstance(node, (list, tuple)):
            return node
        if len(node) <= LONG:
            return [self._without_long(item, (*place, number)) for number, item in enumerate(node)]
        self._lists.append((place, list(self._parts(node))))
        return None

    def _parts(self, items: Sequence[object]) -> Iterator[tuple[int, int, str]]:
        """Write a list; yield of each part how many items it has, its size and its SHA-256."""
        start, count = 0, _FIRST_ITEMS
        while start < len(items):
            some = items[start : start + count]
            content = json.dumps(some).encode()
            while len(content) > MAX_PART and len(some) > 1:
                some = some[: len(some) // 2]
                content = json.dumps(some).encode()
            self._add(content)
            yield len(some), len(content), hashlib.sha256(content).hexdigest()
            start += len(some)
            count = max(1, min(_MOST_ITEMS, len(some) * PART_BYTES // len(content)))

    def _add(self, content: bytes) -> None:
        self._size += len(content)
        if self._size > self._most:
            raise TooLargeError(f"it has more than {self._most:.0f} bytes")
        self._digest.update(content)
        self._file.write(content)


def _checked(file: BinaryIO, start: int, size: int, digest: str) -> bytes:
    file.seek(start)
    content = file.read(size)
    if len(content) != size or hashlib.sha256(content).hexdigest() != digest:
        raise DamagedError("it has another checksum")
    return content


def _items(content: bytes, count: int) -> list[object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DamagedError("a part is no JSON") from error
    if not isinstance(found, list) or len(found) != count:
        raise DamagedError("a part is no list of so many items")
    return found


def _placed(lists: Sequence[tuple[Path, Sequence[tuple[int, int, str]]]], end: int) -> list[list[_Part]]:
    """Return where the parts of each list are, which lie one after the other before ``end``."""
    start, found = 0, []
    for _place, parts in lists:
        placed = []
        for count, size, digest in parts:
            if not (type(count) is type(size) is int and count > 0 and 0 < size <= end - start):
                raise ValueError("a part is not in the file")
            placed.append(_Part(count, start, size, digest))
            start += size
        found.append(placed)
    return found


def _put(value: Any, place: Sequence[str | int], item: LongList) -> Any:
    """Put a list where it was in a value, and return the value."""
    if not place:
        return item
    node = value
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = item
    return value
