"""Reading inputs for their checksums, a little at a time: runs that used the same file elsewhere are found by these.

A file is read only in the state that was noted when its run had ended, and whatever is known of that state from
another run is taken over: a genome that a thousand runs use is read once.
"""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path
from typing import BinaryIO

from cwl_ui_plugin import config
from cwl_ui_plugin.reports.tables import RunFile
from cwl_ui_plugin.services.provenance.run_files import Everybody, place_of_file, state_key_of

FILES_AT_ONCE = 50
WORK_SECONDS = 2.0
CHUNK_BYTES = 1024 * 1024


def max_size() -> int:
    """Return the size of the largest file that is read; -1: none is."""
    return int(config.number("lineage_max_hashed_size")) or -1


def hash_some() -> int:
    """Read some files that wait for their checksums, for about :data:`WORK_SECONDS`; return how many."""
    until = time.monotonic() + WORK_SECONDS
    done = 0
    for location, state_key in _waiting():
        if done and time.monotonic() > until:
            break
        _write(state_key, checksum_of(location, state_key))
        done += 1
    return done


def checksum_of(location: str, state_key: str) -> str | None:
    """Return the checksum of a file in that state; None where it is not there, or another by now."""
    found = place_of_file(Path(location), Everybody())
    if found is None:
        return None
    folder, name = found
    try:
        with folder.open(name) as file:
            checksum = _sha1(file, os.fstat(file.fileno()).st_size)
            return checksum if state_key_of(location, os.fstat(file.fileno())) == state_key else None
    except (OSError, ValueError):
        return None


def _sha1(file: BinaryIO, size: int) -> str:
    """Return the checksum of an open file as CWL writes it; what is added meanwhile is not read."""
    found = hashlib.sha1(usedforsecurity=False)
    while size > 0 and (chunk := file.read(min(CHUNK_BYTES, size))):
        found.update(chunk)
        size -= len(chunk)
    return f"sha1${found.hexdigest()}"


def _waiting() -> list[tuple[str, str]]:
    from airflow.utils.session import create_session
    from sqlalchemy import select

    query = select(RunFile.location, RunFile.state_key).where(RunFile.waits.is_(True)).limit(FILES_AT_ONCE)
    with create_session(scoped=False) as session:
        return list(dict.fromkeys((str(location), str(state_key)) for location, state_key in session.execute(query)))


def _write(state_key: str, checksum: str | None) -> None:
    """Keep a checksum for all runs that had the file in this state; rows that are gone meanwhile stay gone."""
    from airflow.utils.session import create_session
    from sqlalchemy import update

    where = (RunFile.state_key == state_key, RunFile.waits.is_(True))
    with create_session(scoped=False) as session:
        session.execute(update(RunFile).where(*where).values(checksum=checksum, waits=False))
