"""Compiling a stored version again, for another format or engine than it was compiled by; once, whoever asks for it."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import CompileInterrupted, CompileTimeout, DocumentError
from cwl_ui_plugin.library import compilations
from cwl_ui_plugin.library.compilations import COMPILED_FOLDER, Failure
from cwl_ui_plugin.library.errors import NotCompiled
from cwl_ui_plugin.library.versions import StoredVersion

_LOCK = ".lock"


def is_due(version: StoredVersion) -> bool:
    """Whether a version is to be compiled again, and this has not failed before."""
    return not compilations.is_compiled_here(version.folder) and compilations.failure(version.folder) is None


def recompile(version: StoredVersion, progress: Callable[[str], None] = lambda _message: None) -> None:
    """Compile a version for this process's format and engine, if nobody has; wait if somebody does.

    Raises:
        DocumentError: the source can't be compiled any more; that is kept, and not tried again.

    """
    from cwl_ui_plugin.cwl.compile_process import compile_in_process

    with _claimed(version.folder):
        if compilations.is_compiled_here(version.folder):
            return
        if failed := compilations.failure(version.folder):
            raise DocumentError(failed.message, failed.problems)
        staging = compilations.staging_folder(version.folder)
        try:
            compile_in_process(
                version.source,
                version.main,
                staging,
                fetch_hosts=config.fetch_hosts(),
                allow_drafts=config.flag("allow_draft_versions"),
                timeout=config.number("compile_timeout"),
                progress=progress,
                is_background=True,
            )
            compilations.add(version.folder, staging)
        except DocumentError as error:
            may_pass = isinstance(error, (CompileTimeout, CompileInterrupted))
            compilations.keep_failure(version.folder, Failure(error.message, error.problems, may_pass))
            raise
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def usable(version: StoredVersion) -> StoredVersion:
    """Return a version whose plan can be read; where there is none yet, it is compiled now.

    Raises:
        DocumentError: its source can't be compiled any more.

    """
    try:
        _plan = version.plan
    except NotCompiled:
        recompile(version)
        return replace(version)  # looks anew
    return version


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Let one process at a time compile a version; the lock of one that was killed is free."""
    place = folder / COMPILED_FOLDER
    place.mkdir(exist_ok=True)
    with (place / _LOCK).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
