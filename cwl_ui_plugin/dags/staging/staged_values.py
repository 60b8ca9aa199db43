"""Values that are too large for an XCom as objects of a store: fetched by tasks, and by servers that show them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cwl_ui_plugin.cwl.value_files import Written
from cwl_ui_plugin.dags.folders import kept_values
from cwl_ui_plugin.dags.staging import marks
from cwl_ui_plugin.dags.staging.objects import Objects
from cwl_ui_plugin.dags.staging.references import Reference
from cwl_ui_plugin.fetching.errors import FetchError, NotThere

Run = tuple[str, str]
Wait = Callable[[], None]


@dataclass(frozen=True)
class StagedValues:
    """The large values of runs in a store, each of which is a file in ``folder`` meanwhile."""

    objects: Objects
    folder: Path
    on_wait: Wait

    def keep(self, run: Run, task: str, write: Callable[[BinaryIO], Written]) -> Written:
        """Put what ``write`` writes into the store, said to be handed on by a try of a task first.

        Raises:
            FetchError: the store can't be reached.
            OSError: it can't be written on this machine.

        """
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / uuid.uuid4().hex
        try:
            with path.open("w+b") as file:
                known = write(file)
                file.flush()
                key = Reference(known.sha256).key
                marks.mark(self.objects, *run, task, [key], self.on_wait)
                self.objects.put(key, file, known.sha256, self.on_wait)
        finally:
            path.unlink(missing_ok=True)
        return known

    def open(self, run: Run, known: Written) -> BinaryIO:
        """Open a value of a run on this machine.

        Raises:
            FetchError: it can't be had.
            OSError: it can't be read on this machine.

        """
        path = self.folder / known.sha256
        with suppress(FileNotFoundError):
            return path.open("rb")
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / uuid.uuid4().hex
        try:
            fetch(self.objects, run, known, beside, self.on_wait)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
        return path.open("rb")


def fetch(objects: Objects, run: Run, known: Written, path: Path, on_wait: Wait) -> None:
    """Put a value that a task of a run has said to hand on into a file; raise :class:`FetchError` for any other."""
    key = Reference(known.sha256).key
    if marks.HandedOn(objects, *run).others([key], on_wait):
        raise NotThere(f"No task of this run has said to hand on {key}.", 404)
    objects.fetch(key, known.size, known.sha256, path, on_wait)


def open_served(objects: Objects, run: Run, known: Written) -> BinaryIO:
    """Open a value for pages and answers: what is fetched stays on this machine as long as its run.

    Raises:
        OSError: it can't be had, or can't be kept.

    """
    with suppress(FileNotFoundError):
        return kept_values.open_kept(*run, known)
    folder = kept_values.values_folder()
    folder.mkdir(parents=True, exist_ok=True)
    beside = folder / f".{uuid.uuid4().hex}"
    try:
        fetch(objects, run, known, beside, lambda: None)
        kept_values.put(*run, known, beside)
    except FetchError as error:
        raise OSError(str(error)) from error
    finally:
        beside.unlink(missing_ok=True)
    return kept_values.open_kept(*run, known)
