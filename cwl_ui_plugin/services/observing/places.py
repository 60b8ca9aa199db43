"""Places of object stores that the site names: whether they can be used as they have to be, in words."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from cwl_ui_plugin.fetching.errors import FetchError
from cwl_ui_plugin.fetching.storage_roots import shown
from cwl_ui_plugin.services.observing.bounded import TimedOut, answer_of, ask
from cwl_ui_plugin.storing import probing
from cwl_ui_plugin.storing.probing import Place

SECONDS = 15.0
"""How long all places together may take where somebody sets the site up."""
KEEP_SECONDS = 60.0
"""How long it is told what was found of a place: whoever asks for the health, stores are not asked more often."""
_kept: dict[Place, tuple[float, str]] = {}


@dataclass(frozen=True)
class Told:
    """A place, and what keeps it from being used; empty if nothing does."""

    place: Place
    problem: str

    @property
    def name(self) -> str:
        """The place, and the option that names it."""
        return f"{shown(self.place.root.url)} ({self.place.root.option})"


def looked_into(seconds: float) -> list[Told]:
    """Return how all places are, by a look into each; raise :class:`ConfigError` where an option names none."""
    now = time.monotonic()
    found = list(probing.places())
    due = [place for place in found if place not in _kept or now - _kept[place][0] > KEEP_SECONDS]
    for told in _told(due, "look", lambda place: probing.look(place, seconds), seconds):
        _kept[told.place] = time.monotonic(), told.problem
    return [Told(place, _kept[place][1]) for place in found]


def tried(seconds: float = SECONDS) -> list[Told]:
    """Return how all places are, by a look into each, and by an object that is written where the plugin writes."""

    def use(place: Place) -> None:
        probing.look(place, seconds)
        if place.is_written:
            probing.write(place, seconds)

    return _told(list(probing.places()), "try", use, seconds)


def _told(places: list[Place], doing: str, use: Callable[[Place], None], seconds: float) -> list[Told]:
    """Use places side by side; one that does not answer keeps nobody from the others."""
    deadline = time.monotonic() + seconds
    asked = [(place, ask(f"{doing} {place.root}", lambda place=place: use(place))) for place in places]  # type: ignore[misc]
    return [Told(place, _problem(one, deadline - time.monotonic(), seconds)) for place, one in asked]


def _problem(asked: Future[None] | None, left: float, seconds: float) -> str:
    try:
        answer_of(asked, left)
    except TimedOut:
        return f"It does not answer within {seconds:g} seconds."
    except (FetchError, OSError) as error:
        return str(error)
    return ""
