"""Which container engine this worker has. What was found is kept for some minutes, so that not each task asks it.

::

    .control/engines/<key>.json   for a machine, its user, and what [cwl] container_engine says

Only an engine that has answered is kept. One that breaks afterwards fails tasks when they need it, for another try.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from cwl_ui_plugin import config, container_options
from cwl_ui_plugin.cwl.containers.engines import AUTO, ENGINES, NONE, detect_engine, program_of
from cwl_ui_plugin.cwl.processes.machine import this_machine
from cwl_ui_plugin.dags.folders import control_files

KEPT_SECONDS = 600.0
_FOLDER = "engines"


@dataclass(frozen=True)
class _Found:
    """``program`` of ``engine``, last changed at ``changed`` (nanoseconds), answered at ``at`` (seconds since 1970)."""

    engine: str
    program: str
    changed: int
    at: float


def engine_here() -> str:
    """Return the engine that this worker's tools with a DockerRequirement run in, or ``none``.

    Raises:
        StepError: there should be one, and none answers; see ``cwl.containers.engines.detect_engine``.
        ConfigError: an option can't be used.

    """
    wanted, seconds = container_options.container_engine(), container_options.container_engine_timeout()
    if wanted == NONE:
        return NONE
    place = _place(wanted)
    if engine := _known(place, wanted):
        return engine
    engine = detect_engine(wanted, seconds)
    if found := _found(engine):
        with suppress(OSError):  # then the next task asks, too
            control_files.write(place, asdict(found))
            _remove_old(place.parent)
    return engine


def _known(place: Path, wanted: str) -> str | None:
    """Return the engine that has answered lately, if its program is still the same."""
    try:
        kept = control_files.read(_Found, place)
    except PermissionError:
        return None
    if kept is None or kept.engine not in ENGINES or wanted not in (kept.engine, AUTO):
        return None
    now = _found(kept.engine)
    if now is None or (now.program, now.changed) != (kept.program, kept.changed):
        return None
    return kept.engine if 0 <= now.at - kept.at < KEPT_SECONDS else None


def _found(engine: str) -> _Found | None:
    """Return an engine as it is installed now."""
    program = program_of(engine) if engine in ENGINES else None
    if program is None:
        return None
    try:
        return _Found(engine, program, Path(program).stat().st_mtime_ns, time.time())
    except OSError:
        return None


def _place(wanted: str) -> Path:
    key = hashlib.sha256(f"{this_machine()}\0{os.geteuid()}\0{wanted}".encode()).hexdigest()[:32]
    return config.control_folder() / _FOLDER / f"{key}.json"


def _remove_old(folder: Path) -> None:
    """Remove what was kept for machines that have not asked for a while: each boot and each container is one."""
    for path in control_files.listed(folder):
        with suppress(OSError):
            if time.time() - path.lstat().st_mtime > 2 * KEPT_SECONDS:
                path.unlink()
