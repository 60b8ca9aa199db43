"""What would go now, and removing it: the same for the background, the settings page, the REST API and the command."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.fetching.errors import Away, FetchError
from cwl_ui_plugin.library.errors import LibraryError
from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.reports import removals, run_files
from cwl_ui_plugin.services import labelling
from cwl_ui_plugin.services.retention import sizes
from cwl_ui_plugin.services.retention.items import Item, Kind
from cwl_ui_plugin.services.retention.kinds import KINDS
from cwl_ui_plugin.services.retention.trees import Measurer, Size

log = logging.getLogger(__name__)
ROUND_SECONDS = 3600.0
MAX_AT_ONCE = 10_000
"""Items of a kind in one round; the next round takes the rest."""
LOOK_SECONDS = 10.0
"""How long it is measured what would go: somebody waits for that."""
SHOWN_NAMES = 50
FIRST_SECONDS = 60.0
"""After the start of the API server, which has enough to do then."""


@dataclass(frozen=True)
class Removable:
    """What would go of a kind, or has gone. ``is_all`` is False where there is more, or more than could be measured.

    ``names`` are some of those that belong to no workflow, or to one that whoever asks may see.
    """

    kind: str
    title: str
    items: int
    bytes: int
    files: int
    is_all: bool
    names: tuple[str, ...]
    problem: str = ""


def removable(may_see: Callable[[str], bool], seconds: float = LOOK_SECONDS) -> list[Removable]:
    """Return what would be removed now, of each kind; ``may_see`` tells whether a workflow may be named."""
    measurer = Measurer(seconds)
    return [_guarded(kind, lambda kind=kind: _found(kind, measurer, may_see)) for kind in KINDS if kind.find]  # type: ignore[misc]


def _found(kind: Kind, measurer: Measurer, may_see: Callable[[str], bool]) -> Removable:
    items, is_all = _some(kind)
    size = measurer.measure(place for item in items for place in item.places)
    return _told(kind, items, size, is_all and size.is_whole, may_see)


def clean(may_see: Callable[[str], bool] = lambda _dag_id: False) -> list[Removable]:
    """Remove what may go, and return what has gone. Safe beside running runs, and beside another who does the same."""
    done = [_guarded(kind, lambda kind=kind: _cleaned(kind, may_see)) for kind in KINDS]  # type: ignore[misc]
    removals.forget_gone()
    run_files.forget_gone()
    labelling.forget_gone()
    return [told for told, kind in zip(done, KINDS, strict=True) if kind.find]


def _cleaned(kind: Kind, may_see: Callable[[str], bool]) -> Removable:
    if kind.sweep:
        kind.sweep()
    items, is_all = _some(kind)
    gone: list[Item] = []
    total = Size()
    silent: set[Path] = set()
    for item in items:
        size = Measurer(LOOK_SECONDS).measure(item.places)
        if _is_removed(kind, item, silent):
            gone.append(item)
            total += size
            log.info("Removed by [cwl] %s: %s %s (%s)", item.option, kind.name, item.name, bytes_text(size.bytes))
        else:
            is_all = False
    return _told(kind, gone, total, is_all and total.is_whole, may_see)


def _is_removed(kind: Kind, item: Item, silent: set[Path]) -> bool:
    """Remove one item; what goes wrong with it does not hold up the others.

    A bucket whose store is away is noted as ``silent``, and not asked again in this round: each time would take long.
    """
    buckets = set(filter(None, map(store_paths.bucket_of, item.places)))
    if buckets & silent:
        return False
    try:
        return bool(kind.remove and kind.remove(item))
    except (OSError, FetchError) as error:
        if isinstance(error, Away):
            silent |= buckets
        log.warning("%s %s can't be removed, it is tried again: %s", kind.title, item.name, error)
        return False


def _some(kind: Kind) -> tuple[list[Item], bool]:
    found = iter(kind.find() if kind.find else ())
    items = list(islice(found, MAX_AT_ONCE))
    return items, next(found, None) is None


def _guarded(kind: Kind, work: Callable[[], Removable]) -> Removable:
    """Do the work for a kind; what goes wrong with it is told, and the other kinds are done."""
    try:
        return work()
    except (OSError, config.ConfigError, LibraryError) as error:
        log.warning("%s can't be looked at: %s", kind.title, error)
        return Removable(kind.name, kind.title, 0, 0, 0, False, (), problem=str(error))


def _told(kind: Kind, items: list[Item], size: Size, is_all: bool, may_see: Callable[[str], bool]) -> Removable:
    visible = _visible(items, may_see)
    names = tuple(islice((item.name for item in visible), SHOWN_NAMES))
    return Removable(kind.name, kind.title, len(items), size.bytes, size.files, is_all, names)


def _visible(items: Iterable[Item], may_see: Callable[[str], bool]) -> Iterable[Item]:
    return (item for item in items if item.dag_id is None or may_see(item.dag_id))


class RetentionRound:
    """A round of the background loop that cleans each hour, in a thread of its own: the loop has to go on."""

    def __init__(self, first_after: float = FIRST_SECONDS) -> None:
        self._due = time.monotonic() + first_after
        self._measured = float("-inf")
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        """Clean, if it is time; measure, if that was long ago."""
        now = time.monotonic()
        if now < self._due or (self._thread and self._thread.is_alive()):
            return
        self._due = now + ROUND_SECONDS
        measures = now - self._measured >= sizes.ROUND_SECONDS
        if measures:
            self._measured = now
        self._thread = threading.Thread(target=_clean, args=(measures,), name="cwl-retention", daemon=True)
        self._thread.start()


def _clean(measures: bool) -> None:
    try:
        clean()
        if measures:
            sizes.measure_now()
    except Exception:
        log.exception("Cleaning failed; it is tried again in the next round")
