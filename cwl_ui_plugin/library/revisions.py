"""What runs are pinned to, as text: ``<digest>[@<layout>][+<schedule>][!<approvals>]``; nobody else reads or writes it.

``digest`` is that of the version; ``layout`` stands where it was compiled again to tasks with other names than at its
upload; ``schedule`` is the digest of the schedule that the workflow had, ``approvals`` that of the steps which somebody
had chosen to be asked about.
"""

from __future__ import annotations

from dataclasses import dataclass

from cwl_ui_plugin.library.compilations import FIRST_LAYOUT

_LAYOUT_SIGN = "@"
_SCHEDULE_SIGN = "+"
_APPROVALS_SIGN = "!"


@dataclass(frozen=True)
class Revision:
    """A version of a workflow, with tasks as they are called in one of its compilations; a schedule and approvals."""

    digest: str
    layout: str = FIRST_LAYOUT
    schedule: str | None = None
    approvals: str | None = None

    @classmethod
    def parse(cls, text: str) -> Revision:
        """Return what a text says; nothing in it is checked."""
        text, _, approvals = text.partition(_APPROVALS_SIGN)
        version, _, schedule = text.partition(_SCHEDULE_SIGN)
        digest, _, layout = version.partition(_LAYOUT_SIGN)
        return cls(digest, layout or FIRST_LAYOUT, schedule or None, approvals or None)

    def __str__(self) -> str:
        layout = "" if self.layout == FIRST_LAYOUT else f"{_LAYOUT_SIGN}{self.layout}"
        schedule = f"{_SCHEDULE_SIGN}{self.schedule}" if self.schedule else ""
        approvals = f"{_APPROVALS_SIGN}{self.approvals}" if self.approvals else ""
        return f"{self.digest}{layout}{schedule}{approvals}"


def digest_of_revision(revision: str | None) -> str | None:
    """Return the digest of the version that a revision is of; None for None."""
    return Revision.parse(revision).digest if revision else None
