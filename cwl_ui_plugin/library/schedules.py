"""The schedule of a workflow: when Airflow starts it by itself, and with which job.

::

    <workflow>/schedule                  digest of the schedule that it has now
    <workflow>/schedules/<digest>.json   each schedule that it had; nothing in one ever changes

A run keeps the schedule that it was started by: what it is pinned to names it (see ``revisions``).
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cwl_ui_plugin.library.errors import UnknownSchedule
from cwl_ui_plugin.library.files import read_digest, write_text

FORMAT = 1
MAX_BYTES = 1024 * 1024
_DIGEST_LENGTH = 32
_DIGEST = re.compile(rf"[0-9a-f]{{{_DIGEST_LENGTH}}}")
_CURRENT = "schedule"
_KEPT = "schedules"


@dataclass(frozen=True)
class Schedule:
    """When a workflow starts, and with which job.

    ``kind`` and its ``settings`` say when (``dags.scheduling.KINDS``): ``{"cron": "0 6 * * *"}`` of the kind "cron".
    ``timezone`` is a name of IANA, None for Airflow's; times are ISO 8601. ``job`` is a template, see
    ``dags.job_templates``. ``saved_at`` is when it was saved or resumed; runs of a time before are for ``catchup``.
    ``version`` is the digest of the version that the job was checked for: with another one nothing is started.
    ``problem`` says why it does not fit that version. ``grant`` is a token that says what its runs may read, see
    ``dags.access.schedule_grants``.
    """

    kind: str
    settings: Mapping[str, Any]
    job: Mapping[str, object]
    version: str
    saved_by: str
    saved_at: str
    timezone: str | None = None
    start_date: str | None = None
    catchup: bool = False
    is_paused: bool = False
    max_active_runs: int | None = None
    problem: str = ""
    roots: tuple[str, ...] = ()
    grant: str | None = field(default=None, repr=False)

    def starts(self, version: str) -> bool:
        """Whether it starts runs of a version, which is given by its digest."""
        return not self.is_paused and not self.problem and self.version == version

    def content(self) -> dict[str, object]:
        """Return all of it but the grant, which is made for this content."""
        content = asdict(self)
        del content["grant"]
        return {"format": FORMAT, **content, "roots": list(self.roots)}

    def to_json(self) -> str:
        """Return it as it is kept."""
        return json.dumps({**self.content(), "grant": self.grant}, sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Schedule:
        """Return a schedule that was kept; raise :class:`UnknownSchedule` if it was kept by a later version."""
        data = json.loads(text)
        if data.pop("format") != FORMAT or not set(data) <= {item.name for item in fields(cls)}:
            raise UnknownSchedule("The schedule was saved by a later version of cwl-ui-plugin; save it anew.")
        return cls(**{**data, "roots": tuple(data["roots"])})

    @property
    def digest(self) -> str:
        """What names it."""
        return digest_of_text(self.to_json())


def digest_of_text(text: str) -> str:
    """Return what names a schedule that is kept as this text."""
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]


class ScheduleFolder:
    """The schedules of one workflow, in its folder of the store. Who writes holds the lock of the store."""

    def __init__(self, workflow: Path) -> None:
        self._current = workflow / _CURRENT
        self._kept = workflow / _KEPT

    def current_digest(self) -> str | None:
        """Return the digest of the schedule that the workflow has now, None if it has none."""
        return read_digest(self._current, _DIGEST)

    def current(self) -> Schedule | None:
        """Return the schedule that the workflow has now, None if it has none."""
        digest = self.current_digest()
        return self.kept(digest) if digest else None

    def keep(self, text: str) -> None:
        """Keep a schedule by its digest, whether the workflow has it now or not."""
        write_text(self._kept / f"{digest_of_text(text)}.json", text)

    def point_to(self, digest: str | None) -> None:
        """Let a kept schedule be the one that the workflow has now, or none."""
        if digest is None:
            self.clear()
        elif read_digest(self._current, _DIGEST) != digest:
            write_text(self._current, digest)

    def digests(self) -> list[str]:
        """Return the digests of all schedules that the workflow has or had."""
        return [path.stem for path in self._kept.glob("*.json") if _DIGEST.fullmatch(path.stem)]

    def kept(self, digest: str) -> Schedule:
        """Return a schedule that the workflow has or had; raise :class:`UnknownSchedule`."""
        if not _DIGEST.fullmatch(digest):
            raise UnknownSchedule(f"{digest!r} names no schedule.")
        try:
            return Schedule.from_json((self._kept / f"{digest}.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UnknownSchedule(f"There is no schedule {digest!r}.") from None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UnknownSchedule(f"The schedule {digest!r} can't be read; save it anew.") from error

    def replace(self, schedule: Schedule | None, instead_of: str | None) -> bool:
        """Let the workflow have a schedule from now on, or none, unless it has changed meanwhile.

        ``instead_of`` is the digest of the one that it has now. Return whether it was done.
        """
        if self.current_digest() != instead_of:
            return False
        if schedule is None:
            self.clear()
        else:
            self.keep(schedule.to_json())
            self.point_to(schedule.digest)
        return True

    def clear(self) -> None:
        """Let the workflow have none from now on; runs of the ones that it had keep theirs."""
        self._current.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove all of them, with the last version of the workflow."""
        self.clear()
        shutil.rmtree(self._kept, ignore_errors=True)
