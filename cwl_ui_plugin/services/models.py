"""What all services return: frozen, plain, with ``as_json`` where an API answers with it. Times are ISO 8601 in UTC.

There are more of workflows, of runs and of settings (``workflow_models``, ``run_models``, ``settings_models``), and of
single rooms in these. Answers of more than one of them are put together in ``answers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Generic, TypeVar

T = TypeVar("T")


def iso(moment: datetime | None) -> str | None:
    """Return a moment as the models have it."""
    return moment.astimezone(timezone.utc).isoformat() if moment else None


@dataclass(frozen=True)
class Page(Generic[T]):
    """A part of a longer list: ``total`` counts all of it, or as much of it as is looked at, if it is ``cut``."""

    items: tuple[T, ...]
    total: int
    cut: bool = False
