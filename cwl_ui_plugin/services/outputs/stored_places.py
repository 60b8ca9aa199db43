"""Outputs in object stores, for those who ask a server: a store that does not answer is told as such."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO

from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.fetching.errors import FetchError
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.opened import Entry, Place
from cwl_ui_plugin.services.errors import Unavailable
from cwl_ui_plugin.storing import reading


def stored_place(place: Place) -> Place:
    """Return a place whose path is one of ``store_paths``, for reading it."""
    return _ServedPlace(place.root, place.parts)


def with_sizes(place: Place, sizes: Iterable[tuple[str, int]]) -> Place:
    """Return a place that knows files of its, so that the store is not asked for each; others as they are."""
    return replace(place, known=dict(sizes)) if isinstance(place, _ServedPlace) else place


class _ServedPlace(reading.StoredPlace):
    """Raises :class:`Unavailable` where the store can't be asked."""

    def open(self, name: str) -> BinaryIO:
        with _told():
            return super().open(name)

    def state(self, name: str) -> os.stat_result:
        with _told():
            return super().state(name)

    def entries(self, name: str = "", most: int | None = None) -> tuple[list[Entry], bool]:
        with _told():
            return super().entries(name, most)

    def _part(self, found: StoredObject, start: int, end: int) -> bytes:
        with _told():
            return super()._part(found, start, end)


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except (FetchError, ConfigError) as error:
        raise Unavailable(str(error)) from error
