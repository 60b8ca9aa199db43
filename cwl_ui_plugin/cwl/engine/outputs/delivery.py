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
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from cwltool.process import compute_checksums
from cwltool.stdfsaccess import StdFsAccess
from cwltool.utils import downloadHttpFile, visit_class
from schema_salad.ref_resolver import file_uri

from cwl_ui_plugin import atomic
from cwl_ui_plugin.cwl.engine.outputs.placing import NotPlain, Placer, names_in, opened, remove, remove_parts
from cwl_ui_plugin.cwl.engine.outputs.targets import Targets
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.files import CLASSES, local_path
from cwl_ui_plugin.cwl.plan import CwlObject
from cwl_ui_plugin.cwl.temporary_errors import may_pass

MAX_RECORD = 64 * 1024 * 1024
_REMOTE = ("http://", "https://")


@dataclass(frozen=True)
class Destination:
    """Where outputs go.

    ``folder`` is below ``root``, and no part of the path between them may be a link. Files in the folders ``own`` are
    the run's alone. ``record`` is the file that knows what the run has delivered, ``lock`` is locked meanwhile.
    """

    folder: Path
    root: Path
    own: tuple[Path, ...] = ()
    record: Path | None = None
    lock: Path | None = None


def deliver(outputs: object, destination: Destination) -> dict[str, object]:
    """Put the files of an output object into a folder; return the object with their new locations.

    Raises:
        StepError: they can't be delivered; ``temporaryFail`` if that may pass.

    """
    with _alone(destination.lock):
        return _delivered(outputs, destination)


@contextmanager
def _alone(lock: Path | None) -> Iterator[None]:
    """Keep out those who remove what the run has delivered before."""
    with ExitStack() as stack:
        with suppress(OSError):
            if lock is not None:
                fcntl.flock(stack.enter_context(lock.open("r+b")), fcntl.LOCK_EX)
        yield


def _delivered(outputs: object, destination: Destination) -> dict[str, object]:
    kept = _Record(destination, _digest(outputs))
    if (known := kept.outputs()) is not None:
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
            kept.clear(folder)
        delivered = targets.delivered(lambda place: _location(destination.folder, place))
        visit_class(delivered, ("File",), _measure)
        kept.complete(delivered)
    except (OSError, NotPlain) as error:
        raise _undelivered(error, destination.folder) from error
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        text = f"The outputs of the workflow can't be delivered: they are no output object ({error!r})."
        raise StepError(text) from error
    return delivered


class _Record:
    """What a run has delivered into its folder, in a file that only the plugin writes.

    ``{"names": [...], "digest": str, "outputs": {...}}``; the last two when the delivery of these values is complete.
    """

    def __init__(self, destination: Destination, digest: str) -> None:
        self._path, self._folder, self._digest = destination.record, destination.folder, digest
        self._known = _read(self._path) if self._path else {}
        names = self._known.get("names")
        self._names = [str(name) for name in names] if isinstance(names, list) else []
        self._planned: list[str] = []

    def outputs(self) -> dict[str, object] | None:
        """Return what these values were delivered as, if all of that is still there."""
        found = self._known.get("outputs")
        if self._known.get("digest") != self._digest or not isinstance(found, dict):
            return None
        return found if all((self._folder / name).exists() for name in self._names) else None

    def taken(self, names: list[str]) -> set[str]:
        """Return which of the names in the folder are somebody else's."""
        return set(names) - set(self._names)

    def is_ours(self, name: str) -> bool:
        """Whether an earlier try has made what has this name."""
        return name in self._names

    def plan(self, names: list[str]) -> None:
        """Note what is going to be made."""
        self._planned = names
        self._write({"names": sorted({*self._names, *names})})

    @contextmanager
    def noted(self, name: str) -> Iterator[None]:
        """Take back that a name is going to be the run's, if somebody else was faster."""
        try:
            yield
        except FileExistsError:
            self._write({"names": sorted({*self._names, *self._planned} - {name})})
            raise

    def clear(self, folder: int) -> None:
        """Remove what earlier tries have made and this one has not."""
        for name in set(self._names) - set(self._planned):
            remove(folder, name)

    def complete(self, outputs: object) -> None:
        """Note that all is there."""
        names = {"names": self._planned}
        complete = {**names, "digest": self._digest, "outputs": outputs}
        is_small = len(json.dumps(complete)) < MAX_RECORD
        self._write(complete if is_small else names)  # without it, a second delivery makes all anew

    def _write(self, content: Mapping[str, object]) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(self._path, json.dumps(content))


def _read(path: Path) -> dict[str, object]:
    with suppress(OSError, ValueError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, encoding="utf-8") as file:
            content = json.loads(file.read(MAX_RECORD))
        return content if isinstance(content, dict) else {}
    return {}


def _digest(outputs: object) -> str:
    return hashlib.sha256(json.dumps(outputs, sort_keys=True, default=str).encode()).hexdigest()


def _location(folder: Path, place: PurePosixPath) -> str:
    return str(file_uri(str(folder / place)))


def _measure(item: dict[str, object]) -> None:
    if "checksum" not in item or "size" not in item:
        item.pop("checksum", None)
        measured: Any = item
        compute_checksums(StdFsAccess(""), measured)


def _undelivered(error: OSError | NotPlain, folder: Path) -> StepError:
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
