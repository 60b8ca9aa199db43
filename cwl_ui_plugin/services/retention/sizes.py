"""How much of each kind there is: measured in the background, and kept in a file for every page of every API server."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.options import OPTIONS
from cwl_ui_plugin.services.retention.items import Kind
from cwl_ui_plugin.services.retention.kinds import KINDS
from cwl_ui_plugin.services.retention.trees import Measurer, Size

log = logging.getLogger(__name__)
ROUND_SECONDS = 6 * 3600.0
KIND_SECONDS = 120.0
"""How long one kind is measured; what there was no time for is told."""
_FILE = "sizes.json"
_measuring = threading.Lock()


@dataclass(frozen=True)
class Measured:
    """What a kind took when it was measured. ``free`` and ``total`` are of its disk, 0 where that is not known."""

    kind: str
    bytes: int
    files: int
    unread: int
    is_whole: bool
    free: int = 0
    total: int = 0


@dataclass(frozen=True)
class Sizes:
    """All kinds; ``at`` is ISO 8601 in UTC, ``seconds`` how long it took."""

    at: str
    seconds: float
    kinds: tuple[Measured, ...]


@dataclass(frozen=True)
class OptionValue:
    """An option as it is set here: ``days`` 0 is for ever where ``zero_keeps``."""

    name: str
    days: float
    zero_keeps: bool
    description: str
    problem: str = ""


@dataclass(frozen=True)
class KindState:
    """A kind as pages and the REST API show it; ``measured`` is None until it was measured."""

    kind: str
    title: str
    note: str
    place: str | None
    options: tuple[OptionValue, ...]
    measured: Measured | None


@dataclass(frozen=True)
class Retention:
    """What grows, what it takes, and how long it is kept."""

    kinds: tuple[KindState, ...]
    measured_at: str | None
    is_measuring: bool


def retention() -> Retention:
    """Return what is known; nothing is measured."""
    try:
        known = control_files.read(Sizes, config.control_folder() / _FILE)
    except (OSError, config.ConfigError):
        known = None
    by_kind = {measured.kind: measured for measured in known.kinds} if known else {}
    states = tuple(_state(kind, by_kind.get(kind.name)) for kind in KINDS)
    return Retention(states, known.at if known else None, _measuring.locked())


def measure_now() -> Sizes:
    """Measure all kinds, and keep that for everybody."""
    began = time.monotonic()
    kinds = tuple(_measured(kind) for kind in KINDS)
    sizes = Sizes(datetime.now(timezone.utc).isoformat(), round(time.monotonic() - began, 1), kinds)
    try:
        control_files.write(config.control_folder() / _FILE, asdict(sizes))
    except (OSError, config.ConfigError) as error:
        log.warning("What was measured can't be kept: %s", error)
    return sizes


def measure_in_background() -> bool:
    """Begin to measure, unless this process is at it; return whether it has begun."""
    if not _measuring.acquire(blocking=False):
        return False
    threading.Thread(target=_measure, name="cwl-measuring", daemon=True).start()
    return True


def _measure() -> None:
    try:
        measure_now()
    except Exception:
        log.exception("Measuring failed; it is tried again in the next round")
    finally:
        _measuring.release()


def _measured(kind: Kind) -> Measured:
    try:
        size = kind.measure(Measurer(KIND_SECONDS))
    except (OSError, config.ConfigError) as error:
        log.warning("%s can't be measured: %s", kind.title, error)
        size = Size(unread=1)
    free, total = _disk(kind.place()) if kind.place else (0, 0)
    return Measured(kind.name, size.bytes, size.files, size.unread, size.is_whole, free, total)


def _disk(folder: Path) -> tuple[int, int]:
    """Return what is free, and what there is, of the disk that a folder is on, or will be."""
    if store_paths.is_stored(folder):
        return 0, 0
    for place in (folder, *folder.parents):
        try:
            usage = shutil.disk_usage(place)
        except OSError:
            continue
        return usage.free, usage.total
    return 0, 0


def _state(kind: Kind, measured: Measured | None) -> KindState:
    place = store_paths.text_of(kind.place()) if kind.place else None
    return KindState(kind.name, kind.title, kind.note, place, tuple(map(_value, kind.options)), measured)


def _value(name: str) -> OptionValue:
    option = next(option for option in OPTIONS if option.name == name)
    try:
        days, problem = config.number(name), ""
    except config.ConfigError as error:
        days, problem = float(option.default), str(error)
    return OptionValue(name, days, "0: " in option.description, option.description, problem)
