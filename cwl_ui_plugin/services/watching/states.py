"""How a watched folder stands, as pages and the API show it; kept in the database by the server that looks."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone

from cwl_ui_plugin.services.models import iso

INCOMPLETE, CHANGING, READY, REFUSED, STARTED = "incomplete", "changing", "ready", "refused", "started"
COMPLETE = "complete"
"""Of a preview, which does not wait for files to be quiet."""
_ORDER = (REFUSED, READY, COMPLETE, CHANGING, INCOMPLETE, STARTED)
MAX_LISTED = 50
"""Sets and files that are named; all are counted."""
MAX_FILES = 20
_MAX_WORDS = 2000


@dataclass(frozen=True)
class SetState:
    """A set: ``missing`` says which files are not there, ``seconds`` how long it must still stay as it is."""

    name: str
    state: str
    files: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    seconds: float = 0
    run_id: str = ""
    why: str = ""
    given: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Of a preview: which files, or which text, each input is given."""

    @property
    def order(self) -> tuple[int, str]:
        """What needs somebody comes first."""
        return _ORDER.index(self.state), self.name

    def as_json(self) -> dict[str, object]:
        """Return it as the API has it, bounded."""
        given = {name: names[:MAX_FILES] for name, names in self.given.items()}
        cut = {"files": self.files[:MAX_FILES], "missing": self.missing[:MAX_FILES], "given": given}
        return {**asdict(self), **cut, "why": self.why[:_MAX_WORDS]}


@dataclass(frozen=True)
class FolderState:
    """A folder: ``problem`` says why nothing starts; ``refused`` are files that are not used, and why."""

    problem: str = ""
    seconds: float = 0
    looked_at: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    sets: tuple[SetState, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)
    refused_count: int = 0
    others: tuple[str, ...] = ()
    others_count: int = 0
    ignored: int = 0

    def as_json(self) -> dict[str, object]:
        """Return it as the API has it."""
        return {**asdict(self), "sets": [state.as_json() for state in self.sets]}


def keep(dag_id: str, state: FolderState) -> None:
    """Keep how the folder of a workflow stands now."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import FolderWatch

    with create_session(scoped=False) as session:
        row = FolderWatch(dag_id=dag_id, state=json.dumps(state.as_json()), looked_at=datetime.now(timezone.utc))
        session.merge(row)


def kept(dag_id: str) -> FolderState | None:
    """Return how the folder of a workflow stood when it was looked at last; None if it never was."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import FolderWatch

    with create_session(scoped=False) as session:
        row = session.get(FolderWatch, dag_id)
        if row is None:
            return None
        data, looked_at = json.loads(row.state), iso(row.looked_at)
    sets = tuple(
        SetState(**{**one, "files": tuple(one["files"]), "missing": tuple(one["missing"])}) for one in data["sets"]
    )
    return FolderState(**{**data, "sets": sets, "looked_at": looked_at})


def forget_all_but(dag_ids: set[str]) -> None:
    """Forget the states of folders that are not watched any more."""
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    from cwl_ui_plugin.reports.tables import FolderWatch

    with create_session(scoped=False) as session:
        session.execute(delete(FolderWatch).where(FolderWatch.dag_id.not_in(dag_ids)))
