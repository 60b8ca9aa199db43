"""Before which steps of a workflow somebody is asked, by choice of those who run it; its document may ask for more.

::

    <workflow>/approvals                        digest of the choice that it has now
    <workflow>/approval-choices/<digest>.json   each choice that it had; nothing in one ever changes

A run keeps the choice that it was started with: what it is pinned to names it (see ``revisions``).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from cwl_ui_plugin.library.errors import UnknownWorkflow
from cwl_ui_plugin.library.files import read_digest, write_text

_DIGEST_LENGTH = 16
_DIGEST = re.compile(rf"[0-9a-f]{{{_DIGEST_LENGTH}}}")
UNREADABLE = "0" * _DIGEST_LENGTH
"""Stands for a choice that was made and can't be told any more: no choice is kept under it."""
_CURRENT = "approvals"
_KEPT = "approval-choices"


class ApprovalFolder:
    """The choices of one workflow, in its folder of the store. Who writes holds the lock of the store."""

    def __init__(self, workflow: Path) -> None:
        self._current = workflow / _CURRENT
        self._kept = workflow / _KEPT

    def current_digest(self) -> str | None:
        """Return the digest of the choice that the workflow has now, None if it has none.

        Where what names it is damaged it has one all the same, which can't be read: nothing runs without being asked
        about because a file lost its content.
        """
        return read_digest(self._current, _DIGEST) or (UNREADABLE if self._current.exists() else None)

    def current(self) -> tuple[str, ...]:
        """Return the task ids of the steps that are chosen now."""
        digest = self.current_digest()
        return self.kept(digest) if digest else ()

    def kept(self, digest: str) -> tuple[str, ...]:
        """Return a choice that the workflow has or had.

        Raises:
            UnknownWorkflow: it is not there, or can't be read: a run must not go on without being asked about.

        """
        problem = UnknownWorkflow(f"Which steps are to be approved ({digest}) can't be read; choose them anew.")
        if not _DIGEST.fullmatch(digest):
            raise problem
        try:
            found = json.loads((self._kept / f"{digest}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError, RecursionError) as error:
            raise problem from error
        if not isinstance(found, list) or not found or not all(isinstance(task_id, str) for task_id in found):
            raise problem
        return tuple(found)

    def set(self, task_ids: Iterable[str]) -> None:
        """Ask before these steps from now on."""
        text = text_of(task_ids)
        if text is not None:
            self.keep(text)
        self.point_to(None if text is None else digest_of_text(text))

    def keep(self, text: str) -> None:
        """Keep a choice by its digest, whether it is the one that the workflow has now or not."""
        write_text(self._kept / f"{digest_of_text(text)}.json", text)

    def point_to(self, digest: str | None) -> None:
        """Let a kept choice be the one that the workflow has now, or none."""
        if digest is None:
            self._current.unlink(missing_ok=True)
        elif read_digest(self._current, _DIGEST) != digest:
            write_text(self._current, digest)

    def forget(self) -> None:
        """Remove all of them, with the last version of the workflow."""
        self._current.unlink(missing_ok=True)
        shutil.rmtree(self._kept, ignore_errors=True)


def text_of(task_ids: Iterable[str]) -> str | None:
    """Return a choice as it is kept; None for one of no steps, which is not kept."""
    chosen = sorted(set(task_ids))
    return json.dumps(chosen, ensure_ascii=False) if chosen else None


def digest_of_text(text: str) -> str:
    """Return what names a choice that is kept as this text."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]
