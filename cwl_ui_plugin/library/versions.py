"""One version of a workflow in the store, and what it is called: by its dag_id, and by a digest of its content."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cwl_ui_plugin.cwl.errors import UnknownFormat
from cwl_ui_plugin.cwl.plan import Plan, read_plan
from cwl_ui_plugin.library import compilations
from cwl_ui_plugin.library.compilations import Compilation
from cwl_ui_plugin.library.errors import BadDagId, NotCompiled
from cwl_ui_plugin.library.origins import Origin
from cwl_ui_plugin.library.revisions import Revision
from cwl_ui_plugin.library.schedules import Schedule

SOURCE_FOLDER = "source"
DIGEST_LENGTH = 32
_DAG_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST_LENGTH}}}")


@dataclass(frozen=True)
class StoredVersion:
    """One version of a workflow. ``uploaded_at`` is ISO 8601 in UTC; nothing in ``folder`` ever changes.

    ``layout`` is that of the compilation that a run is pinned to, None stands for the newest; ``schedule`` is the one
    that a run is pinned to, ``approvals`` the digest of the choice, and ``asked`` the steps of that. ``origin``
    is where it came from, if it was no user's file.
    """

    dag_id: str
    digest: str
    folder: Path
    main: str
    filename: str
    uploaded_by: str
    uploaded_at: str
    layout: str | None = None
    schedule: Schedule | None = None
    approvals: str | None = None
    asked: tuple[str, ...] = ()
    origin: Origin | None = None

    @property
    def source(self) -> Path:
        """The folder with the files as uploaded."""
        return self.folder / SOURCE_FOLDER

    @cached_property
    def compilation(self) -> Compilation:
        """What it was compiled to, for this process; looked up on first use. Raises :class:`NotCompiled`."""
        return compilations.chosen(self.folder, self.layout)

    @property
    def compiled(self) -> Path:
        """The folder with the compiled workflow (see ``cwl.plan``). Raises :class:`NotCompiled`."""
        return self.compilation.folder

    @cached_property
    def plan(self) -> Plan:
        """The compiled workflow, read on first use. Raises :class:`NotCompiled`."""
        try:
            return read_plan(self.compiled).asking(self.asked)
        except UnknownFormat as error:
            raise NotCompiled(f"The workflow {self.dag_id!r} has to be compiled again. {error}") from error

    @property
    def revision(self) -> str:
        """What runs are pinned to: this version, with tasks as they are called in its compilation."""
        schedule = self.schedule.digest if self.schedule else None
        return str(Revision(self.digest, self.compilation.layout, schedule, self.approvals))


def is_dag_id(text: str) -> bool:
    """Whether a text can be a dag_id, and a file's name too."""
    return _DAG_ID.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Whether a text has the form of a digest of this store."""
    return _DIGEST.fullmatch(text) is not None


def check_dag_id(dag_id: str) -> str:
    """Return ``dag_id`` if it can be one, and a file's name too; else raise :class:`BadDagId`."""
    if not is_dag_id(dag_id):
        raise BadDagId(
            f"{dag_id!r} can't be a dag_id: use up to 200 letters, digits, '_', '-' and '.', "
            "and begin with a letter, a digit or '_'."
        )
    return dag_id


def digest_of(source: Path, main: str) -> str:
    """Return the digest of an upload: SHA-256 over the names and contents of its files and the main file."""
    return digest_of_files(source, (path for path in source.rglob("*") if path.is_file()), main)


def digest_of_files(source: Path, files: Iterable[Path], main: str) -> str:
    """Return what :func:`digest_of` does for an upload of these files of a folder."""
    total = hashlib.sha256(main.encode())
    for path in sorted(files):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        total.update(f"\0{path.relative_to(source).as_posix()}\0{content}".encode())
    return total.hexdigest()[:DIGEST_LENGTH]
