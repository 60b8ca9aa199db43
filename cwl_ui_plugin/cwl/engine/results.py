"""What the steps of a run have made, so that another run can take it over: see :mod:`cwl_ui_plugin.cwl.fingerprints`.

::

    <folder of the run>/.results/<fingerprint>.json    {"task", "map_index", "engine", "runner", "outputs"}

``engine`` is that of containers, or ``none``, and ``runner`` the cwltool that has run the step: with others, it is run.
A record is written once a step, or an element of one, has ended well; it goes with the files of the run. Who takes
outputs over gives their files second names in a folder of its own: from then on they are its own, whatever becomes of
the other run. Where one is gone, or can't be had, the step is run. Records and files are a run's, whose tools may have
written to its folder: nothing is opened through a link, and nothing taken that this run may not read.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cwl_ui_plugin import atomic
from cwl_ui_plugin.cwl.engine.confines import Confines
from cwl_ui_plugin.cwl.engine.outputs.placing import add_name, opened
from cwl_ui_plugin.cwl.files import file_objects, local_path
from cwl_ui_plugin.cwl.fingerprints import RESULTS, TAKEN, RunPlaces, StepIdentity, fingerprint
from cwl_ui_plugin.cwl.plan import installed_engine
from cwl_ui_plugin.opened import FILE, FOLDER, Place

MAX_RECORD = 64 * 1024 * 1024


class KeptResults(Protocol):
    """What is kept of one step, by fingerprints."""

    is_reusing: bool
    """Whether outputs of any run are used, and kept for any run."""

    def key(self, values: object) -> str | None:
        """Return the fingerprint of the step on these values; None where nothing is kept of it."""

    def keep(self, key: str | None, outputs: Mapping[str, object]) -> None:
        """Keep what the step has made; where that can't be done it is no error of the step."""

    def take(self, key: str | None, folder: Path) -> dict[str, object] | None:
        """Return what the run that this one goes on from has made of the same; None to run the step."""

    def reused(self, key: str) -> dict[str, object] | None:
        """Return what any run has made of the same; None to run the step."""


class ResultsKeeper(Protocol):
    """Where the results of a run's steps are."""

    def of_step(self, identity: StepIdentity, source: Path, engine: str, confines: Confines | None) -> KeptResults:
        """Return those of one step, run with a container engine; ``source`` has the files of the upload."""


@dataclass(frozen=True)
class Earlier:
    """The run that this one goes on from: ``folder`` has its files, and is called any of ``names`` in values.

    ``may_be_gone`` tells that outputs are handed on though their files were removed, as no step will read them.
    """

    folder: Place
    names: tuple[Path, ...]
    may_be_gone: bool = False


@dataclass(frozen=True)
class Results:
    """Where results are: ``own`` is the folder of this run, by all names that values have for it.

    ``task`` and ``map_index`` are those of the task that makes them.
    """

    own: tuple[Path, ...]
    task: str
    map_index: int = -1
    earlier: Earlier | None = None

    @property
    def runs(self) -> tuple[Path, ...]:
        """The folders of both runs, as values call them."""
        return (*self.own, *(self.earlier.names if self.earlier else ()))

    def of_step(self, identity: StepIdentity, source: Path, engine: str, confines: Confines | None) -> StepResults:
        """Return those of one step."""
        return StepResults(identity, source, self, engine, confines)


class _Refused(Exception):
    """Outputs of a record can't be taken over."""


class StepResults:
    """The results of one step: of this run, to be kept, and of the earlier one, to be taken over."""

    is_reusing = False  # what is kept for all runs is by content, see ``reuse``

    def __init__(
        self, identity: StepIdentity, source: Path, results: Results, engine: str, confines: Confines | None
    ) -> None:
        self._identity = identity
        self._places = RunPlaces(results.runs, source.resolve())
        self._results, self._engine, self._confines = results, engine, confines

    def key(self, values: object) -> str | None:
        """Return the fingerprint of the step on these values; None where nothing is kept of it."""
        return fingerprint(self._identity, values, self._places, self._engine)

    def keep(self, key: str | None, outputs: Mapping[str, object]) -> None:
        """Write down what the step has made; a full disk, or a value too deep for JSON, is no error of the step."""
        if key is None:
            return
        made = {self._identity.plain(name): value for name, value in outputs.items()}
        run = {"engine": self._engine, "runner": installed_engine()}
        record = {"task": self._results.task, "map_index": self._results.map_index, **run, "outputs": made}
        with suppress(OSError, RecursionError):
            folder = self._results.own[0] / RESULTS
            folder.mkdir(parents=True, exist_ok=True)
            atomic.write_text(folder / f"{key}.json", json.dumps(record))

    def take(self, key: str | None, folder: Path) -> dict[str, object] | None:
        """Return what the earlier run has made of the same, with its files below ``folder``; None to run the step."""
        earlier = self._results.earlier
        if key is None or earlier is None:
            return None
        place = folder / TAKEN / uuid.uuid4().hex[:12]
        try:
            outputs, written = _read(earlier.folder, key)
            _Taking(earlier, place, self._confines, written).take(outputs)
        except (OSError, ValueError, LookupError, TypeError, RecursionError, _Refused):
            shutil.rmtree(place, ignore_errors=True)
            return None
        return {self._identity.full(name): value for name, value in outputs.items()}

    def reused(self, _key: str) -> None:
        """Return None: nothing of other runs is looked for here."""


def _read(folder: Place, key: str) -> tuple[dict[str, object], int]:
    """Return the outputs of a record, and when it was written, in nanoseconds since 1970."""
    with folder.open(f"{RESULTS}/{key}.json") as file:
        written = os.fstat(file.fileno()).st_mtime_ns
        outputs = json.loads(file.read(MAX_RECORD))["outputs"]
    if not isinstance(outputs, dict):
        raise _Refused
    return outputs, written


class _Taking:
    """Gives the files of outputs names in a folder, and their objects these places.

    ``written`` is when the outputs were written down: what was changed since is not what the step has made. A later
    command that has no container may write to its inputs, though its document does not say so.
    """

    def __init__(self, earlier: Earlier, folder: Path, confines: Confines | None, written: int) -> None:
        self._earlier, self._folder, self._confines, self._written = earlier, folder, confines, written

    def take(self, outputs: object) -> None:
        for item in file_objects(outputs):
            path = local_path(item)
            if path is None:
                continue
            name = self._name_of(path)
            if name is not None:
                self._take(item, name)
            elif not self._may_read(path):
                raise _Refused

    def _may_read(self, path: Path) -> bool:
        """Whether a file that is not of the earlier run is there, and this run may read it."""
        is_allowed = self._confines is None or self._confines.allows(Path(os.path.realpath(path)))
        return is_allowed and path.exists()

    def _name_of(self, path: Path) -> str | None:
        """Return what a file is called in the folder of the earlier run; None for one that is elsewhere."""
        for root in self._earlier.names:
            if path.is_relative_to(root):
                return path.relative_to(root).as_posix()
        return None

    def _take(self, item: dict[str, object], name: str) -> None:
        try:
            if item["class"] == "File":
                self._take_file(name, item.get("size"))
            else:
                for inner in self._in_folder(name):
                    self._take_file(inner)
        except FileNotFoundError:
            if not self._earlier.may_be_gone or item["class"] != "File" or not item.get("checksum"):
                raise
        place = self._folder / name
        item["location"] = place.as_uri()
        if "path" in item:
            item["path"] = str(place)
        if "dirname" in item:
            item["dirname"] = str(place.parent)

    def _take_file(self, name: str, size: object = None) -> None:
        target = self._folder / name
        with ExitStack() as stack:
            file = stack.enter_context(self._earlier.folder.open(name))
            self._check_unchanged(os.fstat(file.fileno()), size)
            folder = stack.enter_context(opened(target.parent, self._folder))
            stack.enter_context(suppress(FileExistsError))  # it is a part of another output as well
            add_name(file.fileno(), folder, target.name)

    def _check_unchanged(self, found: os.stat_result, size: object = None) -> None:
        if found.st_mtime_ns > self._written or (isinstance(size, int) and size != found.st_size):
            raise _Refused

    def _in_folder(self, name: str) -> Iterator[str]:
        """Yield the files of a folder, which is made with those in it; what is no plain file can't be taken."""
        self._check_unchanged(self._earlier.folder.state(name))
        with opened(self._folder / name, self._folder):
            entries, _is_cut = self._earlier.folder.entries(name)
        for entry in entries:
            inner = f"{name}/{entry.name}"
            if entry.kind == FILE:
                yield inner
            elif entry.kind == FOLDER:
                yield from self._in_folder(inner)
            else:
                raise _Refused
