"""Where a version of a workflow came from, if it was no user's file: kept with it, and shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """``kind`` is trs, git, zip or http. ``address`` has no query: that may hold a key to what is there.

    ``version`` is what the registry calls it, or the ref of a repository; ``verified`` is how many of its files came
    with a checksum that was right.
    """

    kind: str
    address: str
    version: str | None = None
    commit: str | None = None
    path: str | None = None
    verified: int = 0
