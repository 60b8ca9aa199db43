"""Delivering the outputs of a run: an output object whose files are in the run's folder, complete or not at all.

A delivery may be killed at any moment, or be done again. What a run delivers is noted before it is made, so that the
run knows its own; what others have in the folder is never replaced. When all is there, that is noted, too: then a
second delivery of the same values has nothing to do, also where the intermediate files are gone.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cwltool.process import compute_checksums
from cwltool.stdfsaccess import StdFsAccess
from cwltool.utils import downloadHttpFile, visit_class
from schema_salad.ref_resolver import file_uri

from cwl_ui_plugin.cwl.engine.outputs import to_store
from cwl_ui_plugin.cwl.engine.outputs.placing import NotPlain, Placer, names_in, opened, remove, remove_parts
from cwl_ui_plugin.cwl.engine.outputs.record import NOBODY, Owner, Record
from cwl_ui_plugin.cwl.engine.outputs.targets import Targets
from cwl_ui_plugin.cwl.engine.outputs.to_store import Store, StoredRecord
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import CLASSES, local_path
from cwl_ui_plugin.cwl.plan import CwlObject
from cwl_ui_plugin.cwl.temporary_errors import may_pass
from cwl_ui_plugin.fetching.errors import FetchError

_NO_OBJECT = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
_REMOTE = ("http://", "https://")
_KEPT = ("class", "basename", "checksum", "size", "format")


@dataclass(frozen=True)
class Destination:
    """Where outputs go.

    ``folder`` is below ``root``, and no part of the path between them may be a link. Files in the folders ``own`` are
    the run's alone. ``record`` is the file that knows what the run has delivered, ``lock`` is locked meanwhile. With
    ``store``, outputs go there, and so does a record, which says that it is its ``owner``'s; ``folder`` is nothing on a
    disk.
    """

    folder: Path
    root: Path
    own: tuple[Path, ...] = ()
    record: Path | None = None
    lock: Path | None = None
    store: Store | None = None
    owner: Owner = NOBODY


def deliver(outputs: object, destination: Destination) -> dict[str, object]:
    """Put the files of an output object into a folder; return the object with their new locations.

    Raises:
        StepError: they can't be delivered; ``temporaryFail`` if that may pass.

    """
    with _alone(destination.lock):
        return _delivered(outputs, destination)


def announced(outputs: object, destination: Destination) -> object:
    """Return what is certain to be in the object that :func:`deliver` makes of an output object, before it does so.

    Folders may have a listing in it, and files of one name get longer ones.

    Raises:
        StepError: it is no output object.

    """
    try:
        return _announced(outputs, destination)
    except _NO_OBJECT as error:
        raise _no_object(error) from error


def _announced(outputs: object, destination: Destination) -> object:
    if isinstance(outputs, list):
        return [_announced(item, destination) for item in outputs]
    if not isinstance(outputs, dict):
        return outputs
    if outputs.get("class") not in CLASSES:
        return {key: _announced(value, destination) for key, value in outputs.items()}
    found = {key: outputs[key] for key in _KEPT if key in outputs}
    location = str(destination.folder / str(found.get("basename") or ""))
    if outputs.get("secondaryFiles"):
        found["secondaryFiles"] = _announced(outputs["secondaryFiles"], destination)
    return {**found, "location": location} | ({} if destination.store else {"path": location})


@contextmanager
def _alone(lock: Path | None) -> Iterator[None]:
    """Keep out those who remove what the run has delivered before."""
    with ExitStack() as stack:
        with suppress(OSError):
            if lock is not None:
                fcntl.flock(stack.enter_context(lock.open("r+b")), fcntl.LOCK_EX)
        yield


def _delivered(outputs: object, destination: Destination) -> dict[str, object]:
    if destination.store is not None:
        return _stored(outputs, destination, destination.store)
    kept = Record(destination.record, _digest(outputs))
    if (known := kept.outputs(lambda names: all((destination.folder / name).exists() for name in names))) is not None:
        return known
    try:
        with opened(destination.folder, destination.root) as folder:
            remove_parts(folder)
            targets = Targets(_complete(outputs), kept.taken(names_in(folder)))
            kept.plan([target.name for target in targets.targets])
            placer = Placer(tuple(path.resolve() for path in destination.own))
            for target in targets.targets:
                with kept.noted(target.name):
                    placer.place(folder, target, is_ours=kept.is_ours(target.name))
            for name in kept.stale():
                remove(folder, name)
        delivered = targets.delivered(lambda place: _location(destination.folder, place))
        visit_class(delivered, ("File",), _measure)
        kept.complete(delivered)
    except (OSError, NotPlain) as error:
        raise _undelivered(error, destination.folder) from error
    except _NO_OBJECT as error:
        raise _no_object(error) from error
    return delivered


def _stored(outputs: object, destination: Destination, store: Store) -> dict[str, object]:
    try:
        kept = Record(destination.record, _digest(outputs), StoredRecord(store, destination.owner))
        if (known := kept.outputs(lambda _names: to_store.is_complete(store))) is not None:
            return known
        return to_store.deliver(_complete(outputs), store, kept)
    except FetchError as error:
        kind = "temporaryFail" if error.may_pass else "permanentFail"
        raise StepError(f"The outputs of the workflow can't be delivered: {error}", kind=kind) from error
    except (OSError, NotPlain) as error:
        raise _undelivered(error, store.location("")) from error
    except _NO_OBJECT as error:
        raise _no_object(error) from error


def _digest(outputs: object) -> str:
    return hashlib.sha256(json.dumps(outputs, sort_keys=True, default=str).encode()).hexdigest()


def _location(folder: Path, place: PurePosixPath) -> str:
    return str(file_uri(str(folder / place)))


def _measure(item: dict[str, object]) -> None:
    if "checksum" not in item or "size" not in item:
        item.pop("checksum", None)
        measured: Any = item
        compute_checksums(StdFsAccess(""), measured)


def _no_object(error: Exception) -> StepError:
    return StepError(f"The outputs of the workflow can't be delivered: they are no output object ({error!r}).")


def _undelivered(error: OSError | NotPlain, folder: Path | str) -> StepError:
    kind = "temporaryFail" if may_pass(error) or isinstance(error, FileExistsError) else "permanentFail"
    reason = f"{error.strerror or error}" if isinstance(error, OSError) else str(error)
    named = f" ({error.filename})" if isinstance(error, OSError) and error.filename else ""
    return StepError(f"The outputs of the workflow can't be delivered into {folder}: {reason}{named}.", kind=kind)


def _complete(node: object) -> object:
    """Return an output object with real locations, basenames that are names, and what is in its folders."""
    if isinstance(node, list):
        return [_complete(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("class") in CLASSES:
        return _completed(node, ())
    return {key: _complete(value) for key, value in node.items()}


def _completed(item: CwlObject, above: tuple[Path, ...]) -> dict[str, object]:
    found = {key: value for key, value in item.items() if key not in ("path", "dirname", "nameroot", "nameext")}
    path = _real_path(item)
    found["location"] = file_uri(str(path)) if path else item.get("location") or f"_:{uuid.uuid4()}"
    name = item.get("basename") or (path.name if path else found["location"][2:])
    if not isinstance(name, str) or name in (".", "..") or "/" in name or "\0" in name:
        raise NotPlain(f"{name!r} can't be the name of a file")
    found["basename"] = name
    if found.get("secondaryFiles"):
        found["secondaryFiles"] = [_completed(entry, above) for entry in found["secondaryFiles"]]
    if found["class"] == "Directory":
        within = (*above, path) if path else above
        if path and path in above:
            raise NotPlain(f"the folder {name} has a link to a folder that it is in itself")
        listing = _with_rest(found.get("listing"), path)
        found["listing"] = [_completed(entry, within) for entry in listing]
    return found


def _with_rest(listing: list[dict[str, object]] | None, path: Path | None) -> list[dict[str, object]]:
    """Return what is in a folder: what its object lists, and what else is there."""
    entries = list(listing or ())
    if path is None:
        return entries
    known = {entry.get("basename") for entry in entries}
    known |= {found.name for entry in entries if (found := local_path(entry))}
    return entries + [entry for entry in _entries(path) if entry["basename"] not in known]


def _entries(folder: Path) -> Iterator[dict[str, object]]:
    with os.scandir(folder) as found:
        for entry in sorted(found, key=lambda item: item.name):
            kind = "Directory" if entry.is_dir() else "File"
            yield {"class": kind, "location": file_uri(entry.path), "basename": entry.name}


def _real_path(item: CwlObject) -> Path | None:
    """Return where a File or Directory is, links resolved; None for one that is not on a disk yet."""
    location = item.get("location") or item.get("path") or ""
    if location.startswith(_REMOTE):
        return Path(downloadHttpFile(location)[0])
    path = local_path({"location": location})
    if path is None:
        return None
    real = Path(os.path.realpath(path))
    if not real.exists():
        raise NotPlain(f"{path.name} is not there, or is a link to what is not there")
    return real
