"""What a stored version is compiled to, and how far the round is that compiles workflows again after an upgrade."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import installed_engine
from cwl_ui_plugin.library import compilations
from cwl_ui_plugin.library.errors import NotCompiled
from cwl_ui_plugin.library.files import write_text
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.workflow_models import Compilation

PROGRESS_FILE = "recompiling.json"
CURRENT, OUTDATED, COMPILING, FAILED = "current", "outdated", "compiling", "failed"
NEEDS_UPLOAD = "needs a new upload"


@dataclass(frozen=True)
class Progress:
    """How far a round is: ``message`` is what is done now to the version of ``dag_id`` in ``folder``."""

    total: int
    done: int = 0
    failed: int = 0
    dag_id: str = ""
    folder: str = ""
    message: str = ""


def compilation_of(version: StoredVersion, *, is_current: bool) -> Compilation:
    """Return what a version is compiled to, and what is or has to be done about it."""
    engine, own = _engine_of(version), installed_engine()
    if compilations.is_compiled_here(version.folder):
        return Compilation(CURRENT, engine)
    if failed := compilations.failure(version.folder):
        meanwhile = f" Until then its runs use what {engine} has made of it." if engine else ""
        message = f"It {NEEDS_UPLOAD}: {own} can't compile it any more. {failed.message}{meanwhile}"
        return Compilation(FAILED, engine, message, failed.problems)
    by = f"It was compiled by {'another version of cwl-ui-plugin' if engine in (None, own) else engine}"
    running = progress()
    if running and running.folder == str(version.folder):
        return Compilation(COMPILING, engine, f"{by}, and is being compiled by {own} now: {running.message}.")
    if not is_current:
        return Compilation(OUTDATED, engine, f"{by}; {own} compiles it once it is the current version.")
    place = f" ({running.done} of {running.total} workflows are done)" if running else ""
    return Compilation(OUTDATED, engine, f"{by}, and will be compiled by {own} soon{place}.")


def progress() -> Progress | None:
    """Return how far the workflows of the store are compiled again; None if nobody is at it."""
    try:
        return Progress(**json.loads(_progress_file().read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def keep_progress(state: Progress | None) -> None:
    """Let pages and APIs know how far it is; None when it has ended."""
    if state is None:
        _progress_file().unlink(missing_ok=True)
    else:
        write_text(_progress_file(), json.dumps(asdict(state)))


def _engine_of(version: StoredVersion) -> str | None:
    try:
        return version.plan.engine
    except NotCompiled:
        return None


def _progress_file() -> Path:
    return config.workflows_folder() / PROGRESS_FILE
