"""Task instances that are to be submitted to Slurm, in order: each of them once."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator

from cwl_ui_plugin.executors.jobs import Item, Key


class Waiting:
    """The line before Slurm. One thread changes it; others may look."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __bool__(self) -> bool:
        return bool(self._items)

    def add(self, item: Item) -> None:
        """Let one wait behind all others; it takes the place of the same task instance, handed over before."""
        self._items = [*(other for other in self._items if other.key != item.key), item]

    def put_back(self, items: Iterable[Item]) -> None:
        """Let some wait before all others again, but for those that were handed over anew meanwhile."""
        newer = {item.key for item in self._items}
        self._items = [*(item for item in items if item.key not in newer), *self._items]

    def put_behind(self, items: list[Item]) -> None:
        """Let some wait again, and all that would be submitted with them, behind what others ask for."""
        self.put_back(items)
        groups = {item.group for item in items}
        self._items = sorted(self._items, key=lambda item: item.group in groups)

    def remove(self, keys: Container[Key]) -> list[Item]:
        """Take some out; return them."""
        taken = [item for item in self._items if item.key in keys]
        self._items = [item for item in self._items if item.key not in keys]
        return taken

    def take_group(self, most: int, busy: Container[Key]) -> list[Item]:
        """Take out the first that can be submitted together, at most so many; those that are ``busy`` wait on."""
        ready = [item for item in self._items if item.key not in busy]
        chosen = [item for item in ready if item.group == ready[0].group][:most]
        self.remove({item.key for item in chosen})
        return chosen
