"""Noting that files are used as inputs, so that retention does not remove them just as a run starts with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.dags.folders import claims
from cwl_ui_plugin.services.errors import Conflict, Unavailable
from cwl_ui_plugin.services.inputs.access import InputAccess, named_paths


def note_use(job: Mapping[str, object], access: InputAccess) -> None:
    """Note that the uploads and outputs that a job names are used now, before it is checked that they are there.

    What this user may not use is left alone: nothing is kept for them, nor told of it.

    Raises:
        Conflict: these outputs are being removed.
        Unavailable: it can't be noted.

    """
    try:
        for folder, entry in _entries(job, access):
            if not last_use.use(entry) and folder is not None and not claims.revive(folder):
                raise Conflict(f"The outputs in {folder} are being removed just now: run what made them anew.")
    except (OSError, config.ConfigError) as error:
        raise Unavailable(f"It can't be noted that the input files are used: {error}.") from error


def _entries(job: Mapping[str, object], access: InputAccess) -> Iterator[tuple[Path | None, Path]]:
    """Yield what to touch for the files of a job: folders of uploads, and claims with the folders of their outputs."""
    uploads = config.uploads_folder().resolve()
    roots = [root.resolve() for root in (config.outputs_folder(), *config.named_roots())]
    seen: set[Path] = set()
    for path in named_paths(job):
        real = access.real_path(path)
        if real is None or not access.allows(real):
            continue
        if real.is_relative_to(uploads) and real != uploads:
            folder = uploads / real.relative_to(uploads).parts[0]
            if folder not in seen and folder.is_dir():
                yield None, folder
            seen.add(folder)
        root = next((root for root in roots if real.is_relative_to(root)), None)
        if root is not None:
            yield from _claim_above(real, root, seen)


def _claim_above(real: Path, root: Path, seen: set[Path]) -> Iterator[tuple[Path, Path]]:
    for folder in (real, *real.parents):
        if folder == root or folder in seen:
            return
        seen.add(folder)
        if claims.of(folder) is not None:
            yield folder, claims.file_of(folder)
            return
