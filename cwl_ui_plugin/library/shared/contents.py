"""What the index names: archives of versions, schedules, approvals and manifests, put there and fetched from there."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from cwl_ui_plugin import config
from cwl_ui_plugin.library import carrying, compilations
from cwl_ui_plugin.library.approvals import ApprovalFolder
from cwl_ui_plugin.library.compilations import COMPILED_FOLDER
from cwl_ui_plugin.library.errors import DamagedArchive, LibraryError, NotCompiled, StoreAway
from cwl_ui_plugin.library.files import write_text
from cwl_ui_plugin.library.manifests import name_of
from cwl_ui_plugin.library.numbering import NumberFile
from cwl_ui_plugin.library.schedules import ScheduleFolder
from cwl_ui_plugin.library.shared.index import Archive, Index
from cwl_ui_plugin.library.shared.objects import Bucket

if TYPE_CHECKING:
    from cwl_ui_plugin.library.shared.copies import Copies

LEAST_UNPACKED = 1024**3
"""What a version may unpack to with its compilations, if not [cwl] max_unpacked_size allows more."""
AT_ONCE = 4
"""How many versions are fetched at a time where nobody waits for them."""
_LEFT_SECONDS = 24 * 3600
_IN_MEMORY = 8 * 1024 * 1024
_DIGEST = re.compile(r"[0-9a-f]{16,64}")
_FETCHED = ".fetched-"
log = logging.getLogger(__name__)


def layout_of(folder: Path) -> str:
    """Return the layout of what a version is compiled to, for this process."""
    try:
        return compilations.chosen(folder).layout
    except NotCompiled:
        return compilations.FIRST_LAYOUT


def put_version(bucket: Bucket, dag_id: str, digest: str, folder: Path) -> Archive:
    """Put the folder of a version into the bucket."""
    with _temporary() as file:
        carrying.pack_version(dag_id, digest, folder, file)
        return bucket.put_archive(dag_id, file)


def put_manifest(bucket: Bucket, manifest: dict[str, str]) -> None:
    """Put a manifest into the bucket, named as folders name it."""
    text = json.dumps(manifest, sort_keys=True)
    bucket.put_small(f"manifests/{name_of(text)}.json", text.encode())


def manifest(bucket: Bucket, name: str) -> dict[str, str] | None:
    """Return a manifest; None where the bucket has none of that name."""
    content = bucket.small(f"manifests/{name}.json", name)
    if content is None:
        return None
    with suppress(ValueError, RecursionError):
        found = json.loads(content)
        if isinstance(found, dict) and all(isinstance(revision, str) for revision in found.values()):
            return found
    return None


def small_text(bucket: Bucket, folder: str, digest: str) -> str | None:
    """Return the text that a digest names in a folder of the bucket; None where it is not there."""
    content = bucket.small(f"{folder}/{digest}.json", digest) if _DIGEST.fullmatch(digest) else None
    with suppress(UnicodeDecodeError):
        return None if content is None else content.decode()
    return None


def put_choices(bucket: Bucket, workflow: Path) -> None:
    """Put all schedules and approvals that a workflow's folder has."""
    for inner, outer in (("schedules", "schedules"), ("approval-choices", "approvals")):
        for path in (workflow / inner).glob("*.json"):
            bucket.put_small(f"{outer}/{workflow.name}/{path.name}", path.read_bytes())


def put_others(bucket: Bucket, root: Path) -> None:
    """Put the manifests and the public keys of grants that a folder has."""
    for path in (root / "manifests").glob("*.json"):
        with suppress(ValueError):
            put_manifest(bucket, json.loads(path.read_bytes()))
    for path in (root / "grants").glob("*.pem"):
        bucket.put_small(f"grants/{path.name}", path.read_bytes())


def bring(store: Copies, dag_id: str, digest: str, archive: Archive) -> None:
    """Fetch a version into its folder; if it is there, what it was compiled to elsewhere.

    Raises:
        DamagedArchive: it is not what the index says, or that can't be.
        StoreAway: the bucket does not answer.

    """
    staging = store.uploads / f"{_FETCHED}{uuid.uuid4().hex}"
    target = store.workflows / dag_id / "versions" / digest
    most = max(LEAST_UNPACKED, 2 * int(config.number("max_unpacked_size")))
    if archive.size > most:
        raise DamagedArchive(f"A version of {dag_id!r} in the bucket of workflows has {archive.size} bytes.")
    try:
        with _temporary() as file:
            store.bucket.archive(dag_id, archive, file)
            carrying.unpack(file, staging, dag_id, digest, most=most)
        move_in(store, dag_id, digest, staging / "workflows" / dag_id / "versions" / digest, archive)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    log.debug("The version %s of %s is in %s", digest, dag_id, target)


def move_in(store: Copies, dag_id: str, digest: str, folder: Path, archive: Archive) -> None:
    """Let a folder on the file system of the store be that of a version; of one that is there, its compilations."""
    target = store.workflows / dag_id / "versions" / digest
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        folder.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        _add_compilations(folder / COMPILED_FOLDER, target / COMPILED_FOLDER)
    store.known.bring(dag_id, digest, archive.sha256)


def _add_compilations(given: Path, target: Path) -> None:
    """Move those compilations in that are not there; the mark of the first one comes before others."""
    if not given.is_dir():
        return
    target.mkdir(exist_ok=True)
    for path in sorted(given.iterdir(), key=lambda path: path.is_dir()):
        if not (target / path.name).exists():
            with suppress(OSError):  # another process was faster
                path.rename(target / path.name)


def look_and_fill(store: Copies, done: threading.Event) -> None:
    """See what the bucket has, say when that is done, and fetch what this machine does not have."""
    try:
        store.refresh()
    except (StoreAway, OSError, config.ConfigError) as error:
        log.warning("Workflows are shown and run as this machine has them: %s", error)
        return
    finally:
        done.set()
    fill_quietly(store)


def fill_quietly(store: Copies) -> None:
    """Do as :func:`fill` does; what goes wrong is logged."""
    try:
        fill(store)
    except Exception:
        log.exception("Not all workflows could be fetched; those that are missing are fetched when they are needed")


def fill(store: Copies) -> None:
    """Fetch all that the index names and this machine does not have; remove what went from it.

    What can't be fetched is fetched by who needs it, or next time.
    """
    index, brought = store.index(), store.known.brought()
    if store.filled == index.written:
        return
    wanted = [item for item in _versions(index) if brought.get(item[0], {}).get(item[1]) != item[2].sha256]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="cwl-workflows") as pool:
        is_whole = all(list(pool.map(lambda item: _is_brought(store, *item), wanted)))
    _remove_gone(store)
    for dag_id in index.entries:
        point(store, dag_id)
    for left in store.uploads.glob(f"{_FETCHED}*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    store.filled = index.written if is_whole else ""


def _versions(index: Index) -> Iterator[tuple[str, str, Archive]]:
    """Yield all versions, current ones first."""
    for is_current in (True, False):
        for dag_id, entry in index.entries.items():
            for digest, archive in entry.versions.items():
                if (digest == entry.current) is is_current:
                    yield dag_id, digest, archive


def _is_brought(store: Copies, dag_id: str, digest: str, archive: Archive) -> bool:
    try:
        bring(store, dag_id, digest, archive)
    except (LibraryError, OSError) as error:
        log.warning("The version %s of %s can't be fetched now: %s", digest, dag_id, error)
        return False
    return True


def _remove_gone(store: Copies) -> None:
    """Remove versions that were in the bucket, and are not any more.

    What is here is asked first: a version that is added meanwhile is in the index before it is here.
    """
    brought = store.known.brought()
    index = store.index()
    gone = [
        (dag_id, digest)
        for dag_id, digests in brought.items()
        for digest in digests
        if index.archive(dag_id, digest) is None
    ]
    for dag_id, digest in gone:
        store.drop(dag_id, digest)
    if gone:
        store.known.forget(gone)


def point(store: Copies, dag_id: str) -> None:
    """Let the folder say, too, what is current: for a bucket that is lost, and sites that go back to a folder."""
    workflow, entry = store.workflows / dag_id, store.index().entries.get(dag_id)
    if entry is None or not workflow.is_dir():
        return
    NumberFile(workflow).write(entry.numbers)
    current = workflow / "current"
    if entry.current is None:
        current.unlink(missing_ok=True)
    elif (workflow / "versions" / entry.current).is_dir() and _text(current) != entry.current:
        write_text(current, entry.current)
    with suppress(LibraryError):
        if entry.schedule:
            store.schedules(dag_id).kept(entry.schedule)
        ScheduleFolder(workflow).point_to(entry.schedule)
        if entry.approvals:
            store.approvals(dag_id).kept(entry.approvals)
        ApprovalFolder(workflow).point_to(entry.approvals)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return None


def _temporary() -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY))
