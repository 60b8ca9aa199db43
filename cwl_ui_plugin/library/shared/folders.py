"""Schedules and approvals of a workflow whose current ones the index names; what is not here is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cwl_ui_plugin.library.approvals import ApprovalFolder
from cwl_ui_plugin.library.errors import UnknownSchedule, UnknownWorkflow
from cwl_ui_plugin.library.schedules import Schedule, ScheduleFolder

Fetch = Callable[[str], str | None]
"""Returns what a digest names, None where the bucket does not have it."""


class SharedSchedules(ScheduleFolder):
    """The schedules of a workflow; ``current`` is the digest of the one that it has."""

    def __init__(self, workflow: Path, current: str | None, fetch: Fetch) -> None:
        super().__init__(workflow)
        self._of_index, self._fetch = current, fetch

    def current_digest(self) -> str | None:
        """Return the digest of the schedule that the workflow has now, None if it has none."""
        return self._of_index

    def kept(self, digest: str) -> Schedule:
        """Return a schedule that the workflow has or had; raise :class:`UnknownSchedule`, or :class:`StoreAway`."""
        try:
            return super().kept(digest)
        except UnknownSchedule:
            text = self._fetch(digest)
            if text is None:
                raise
        self.keep(text)
        return super().kept(digest)


class SharedApprovals(ApprovalFolder):
    """The choices of a workflow; ``current`` is the digest of the one that it has."""

    def __init__(self, workflow: Path, current: str | None, fetch: Fetch) -> None:
        super().__init__(workflow)
        self._of_index, self._fetch = current, fetch

    def current_digest(self) -> str | None:
        """Return the digest of the choice that the workflow has now, None if it has none."""
        return self._of_index

    def kept(self, digest: str) -> tuple[str, ...]:
        """Return a choice that it has or had; raise :class:`UnknownWorkflow`, or :class:`StoreAway`."""
        try:
            return super().kept(digest)
        except UnknownWorkflow:
            text = self._fetch(digest)
            if text is None:
                raise
        self.keep(text)
        return super().kept(digest)
