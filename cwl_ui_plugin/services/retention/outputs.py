"""Outputs of runs: what a run has delivered goes, if an option says so; what others have put beside it stays.

The claims of output folders (``dags.folders.claims``) tell which run has delivered into which folder, also when
Airflow has forgotten the run. What it has delivered stands in the record of the delivery.
"""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cwl_ui_plugin import config, last_use
from cwl_ui_plugin.cwl.engine.outputs.record import OUTPUT_OBJECT, RECORD_OBJECT
from cwl_ui_plugin.cwl.files import file_objects, local_paths
from cwl_ui_plugin.cwl.small_files import read_small
from cwl_ui_plugin.dags.folders import claims
from cwl_ui_plugin.dags.folders.claims import Claim
from cwl_ui_plugin.opened import Place, place_of
from cwl_ui_plugin.reports import removals
from cwl_ui_plugin.services.retention import trees
from cwl_ui_plugin.services.retention.items import Item, limit_of
from cwl_ui_plugin.services.retention.references import named_by_runs
from cwl_ui_plugin.services.retention.trees import Measurer, Size
from cwl_ui_plugin.storing.folder import StoredFolder
from cwl_ui_plugin.storing.site import stored_folder

GONE_OPTION, LISTED_OPTION = "keep_outputs_days", "keep_listed_outputs_days"
MAX_RECORD = 64 * config.MEBIBYTE
_ASKED_AT_ONCE = 200
_SAME_MOMENT = 1.0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Run:
    """A run in Airflow's list: when it was created and when it ended, in seconds since 1970."""

    created: float
    ended: float | None


def measure(measurer: Measurer) -> Size:
    """Return what outputs take: the folder for them, and folders elsewhere that runs have delivered to."""
    outputs = config.outputs_folder()
    elsewhere = {claim.path for claim in claims.claims() if not claim.path.is_relative_to(outputs)}
    recorded = [folder for folder in sorted(elsewhere) if claims.record_of(folder).exists()]
    return measurer.measure([outputs, *recorded])


def find() -> Iterator[Item]:
    """Yield the outputs that may go, and that no run in Airflow's list has for an input."""
    limits = {option: limit_of(option) for option in (GONE_OPTION, LISTED_OPTION)}
    if not any(limits.values()):
        return
    delivered = [(claim, used) for claim in claims.claims() if (used := _last_use(claim)) is not None]
    listed = _listed([claim for claim, _used in delivered])
    found: dict[Path, Item] = {}
    for claim, used in delivered:
        run = listed.get((claim.dag_id, claim.run_id))
        is_listed = run is not None and abs(run.created - claim.created) < _SAME_MOMENT
        option, since = (LISTED_OPTION, _since(run, used)) if is_listed else (GONE_OPTION, used)
        limit = limits[option]
        if limit is not None and since is not None and since <= limit and _place(claim) is not None:
            found[claim.path] = _item(claim, option, since)
    named = named_by_runs(found.keys())
    yield from (item for folder, item in found.items() if folder not in named)


def _item(claim: Claim, option: str, since: float) -> Item:
    return Item(f"{claim.dag_id} {claim.run_id}", (claim.path,), option, since, claim.dag_id, claim.run_id)


def _since(run: _Run | None, used: float) -> float | None:
    return max(run.ended, used) if run is not None and run.ended is not None else None


def _last_use(claim: Claim) -> float | None:
    """Return when outputs were delivered, or used as inputs, last; None where nothing was delivered."""
    try:
        delivered = claims.record_of(claim.path).lstat().st_mtime
        return max(delivered, claims.file_of(claim.path).lstat().st_mtime)
    except FileNotFoundError:
        return None


def _listed(found: list[Claim]) -> dict[tuple[str, str], _Run]:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import select, tuple_

    columns = (DagRun.dag_id, DagRun.run_id, DagRun._state, DagRun.run_after, DagRun.end_date)
    runs = sorted({(claim.dag_id, claim.run_id) for claim in found})
    known: dict[tuple[str, str], _Run] = {}
    for start in range(0, len(runs), _ASKED_AT_ONCE):
        asked = tuple_(DagRun.dag_id, DagRun.run_id).in_(runs[start : start + _ASKED_AT_ONCE])
        with create_session(scoped=False) as session:
            rows = session.execute(select(*columns).where(asked)).all()
        for dag_id, run_id, state, created, ended in rows:
            has_ended = ended is not None and state in (DagRunState.SUCCESS, DagRunState.FAILED)
            known[dag_id, run_id] = _Run(_seconds(created), _seconds(ended) if has_ended else None)
    return known


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _place(claim: Claim) -> Place | None:
    """Return the folder of a claim, if it is in one where outputs may be, and not that itself."""
    place = place_of(claim.path, (config.outputs_folder(), *config.named_roots()))
    return place if place is not None and place.parts else None


def remove(item: Item) -> bool:
    """Remove what a run has delivered, unless it has begun anew, or its outputs were used since they were found.

    Raises:
        FetchError: a store does not remove it.

    """
    folder = item.places[0]
    claim = claims.of(folder)
    if claim is None or (claim.dag_id, claim.run_id) != (item.dag_id, item.run_id):
        return False
    with claims.alone(folder) as is_ours:
        if not is_ours or not _is_still_old(claim, item):
            return False
        if not last_use.mark_going(claims.file_of(folder), unused_since=item.last_use):
            return False
        if item.option == LISTED_OPTION:
            removals.note([(claim.dag_id, claim.run_id)], removals.OUTPUTS, item.option)
        return _remove_delivered(claim, is_listed=item.option == LISTED_OPTION)


def _is_still_old(claim: Claim, item: Item) -> bool:
    used, run = _last_use(claim), _listed([claim]).get((claim.dag_id, claim.run_id))
    if used is None or used > item.last_use:
        return False
    if item.option == GONE_OPTION:
        return run is None or abs(run.created - claim.created) >= _SAME_MOMENT
    return run is not None and run.ended is not None and run.ended <= item.last_use


def _remove_delivered(claim: Claim, *, is_listed: bool) -> bool:
    """Remove files, the folder if nothing else is in it, and the record; it may be killed, and is gone on with."""
    place, record = _place(claim), claims.record_of(claim.path)
    if place is None:
        return False
    try:
        if store := stored_folder(claim.path):
            _empty_store(store, claim)
            is_gone = True
        else:
            names, delivered = _recorded(record)
            is_gone = _empty(place, names, delivered, record.lstat().st_mtime)
    except ValueError as error:
        log.warning("The outputs in %s are kept, since the record of them can't be read: %s", claim.path, error)
        return False
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        is_gone = True  # somebody else has removed the folder, or put something else in its place
    if not is_gone:
        log.warning("Not all outputs in %s can be removed; it is tried again", claim.path)
        return False
    if not store:
        _remove_if_empty(place)
    record.unlink(missing_ok=True)
    with suppress(OSError):
        os.utime(claims.file_of(claim.path))
    if not is_listed and not claims.is_in_use(claim.path):
        claims.release(claim)
    return True


def _recorded(record: Path) -> tuple[list[str], set[Path] | None]:
    """Return the names that a run has made in its folder, and all that it has delivered, if that is known.

    Raises:
        ValueError: the record can't be read.

    """
    content: Any = json.loads(read_small(record, MAX_RECORD) or b"")
    names = content.get("names") if isinstance(content, dict) else None
    if not isinstance(names, list):
        raise ValueError("it names nothing")
    outputs = content.get("outputs")
    return [str(name) for name in names], set(local_paths(outputs)) if isinstance(outputs, dict) else None


def _empty_store(store: StoredFolder, claim: Claim) -> None:
    """Remove what was delivered to a store: the output object first, so that nobody takes the rest for complete.

    The record in the store is newer than the one here where another machine has delivered.

    Raises:
        ValueError: the record can't be read.
        FetchError: the store does not remove it.

    """
    content: Any = claim.owner.own(store.read(RECORD_OBJECT, MAX_RECORD))
    is_theirs = content is None
    if is_theirs:
        content = json.loads(read_small(claims.record_of(claim.path), MAX_RECORD) or b"")
    names = content.get("names") if isinstance(content, dict) else None
    if not isinstance(names, list):
        raise ValueError("it names nothing")
    store.remove_exactly([OUTPUT_OBJECT])
    if isinstance(content.get("outputs"), dict):
        store.remove_exactly(delivered_names(content["outputs"], store.location))
    else:  # a delivery that was not completed, or is too large to be recorded
        store.remove(str(name) for name in names)
    if not is_theirs:
        store.remove_exactly([RECORD_OBJECT])


def delivered_names(outputs: object, location: Callable[[str], str]) -> list[str]:
    """Return what objects the files and empty folders of an output object are, below where ``location`` says."""
    start, found = location(""), []
    for item in file_objects(outputs):
        address = str(item.get("location"))
        if address.startswith(start):
            is_empty = item["class"] == "Directory" and not item.get("listing")
            found += [address[len(start) :] + ("/" if is_empty else "")] if item["class"] == "File" or is_empty else []
    return sorted(set(found))


def _remove_if_empty(place: Place) -> None:
    with suppress(OSError), Place(place.root, place.parts[:-1]).folder() as above:
        os.rmdir(place.parts[-1], dir_fd=above)


def _empty(place: Place, names: list[str], delivered: set[Path] | None, made: float) -> bool:
    """Remove what was delivered into a folder; return whether that is gone. What is not a run's stays."""
    with place.folder() as folder:
        remover = _Remover(delivered, made)
        are_gone = [remover.remove(folder, name, place.path / name) for name in names]
    return all(are_gone)


@dataclass(frozen=True)
class _Remover:
    """Removes what was delivered; where it is not known what that was: what has not changed since it was ``made``."""

    delivered: set[Path] | None
    made: float

    def remove(self, folder: int, name: str, path: Path, depth: int = 0) -> bool:
        """Return whether all of the run's is gone that has a name in a folder."""
        try:
            state = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return True
        if trees.is_folder(state):
            return depth < trees.MAX_DEPTH and self._remove_folder(folder, name, path, depth)
        return trees.remove_in(folder, name) if self._is_the_runs(path, state) else True

    def _is_the_runs(self, path: Path, state: os.stat_result) -> bool:
        return path in self.delivered if self.delivered is not None else state.st_mtime <= self.made

    def _remove_folder(self, folder: int, name: str, path: Path, depth: int) -> bool:
        try:
            descriptor = trees.open_folder(folder, name)
        except OSError:
            return False
        try:
            inner = [self.remove(descriptor, found, path / found, depth + 1) for found in os.listdir(descriptor)]  # noqa: PTH208 - of a descriptor
        finally:
            os.close(descriptor)
        with suppress(OSError):  # where somebody else has put something into it
            os.rmdir(name, dir_fd=folder)
        return all(inner)
