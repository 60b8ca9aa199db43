"""What may go, and of what kind it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.services.retention.trees import Measurer, Size

DAY = 86_400.0


@dataclass(frozen=True)
class Item:
    """Something that may go. ``option`` says so; it was not used since ``last_use``, in seconds since 1970.

    ``dag_id`` is there for what belongs to a workflow: only who may see that is told of it.
    """

    name: str
    places: tuple[Path, ...]
    option: str
    last_use: float
    dag_id: str | None = None
    run_id: str | None = None
    digest: str | None = None


@dataclass(frozen=True)
class Kind:
    """One kind of what grows: where it is, which options say how long it is kept, and what may go.

    ``find`` and ``remove`` are missing where something else removes it as soon as it is due. ``remove`` looks once more
    whether an item may go, and returns whether it is gone. ``sweep`` goes on with what was broken off.
    """

    name: str
    title: str
    options: tuple[str, ...]
    note: str
    measure: Callable[[Measurer], Size]
    place: Callable[[], Path] | None = None
    find: Callable[[], Iterable[Item]] | None = None
    remove: Callable[[Item], bool] | None = None
    sweep: Callable[[], object] | None = None


def limit_of(option: str) -> float | None:
    """Return since when something must not have been used to go, in seconds since 1970; None where all is kept."""
    days = config.number(option)
    return time.time() - days * DAY if days else None
