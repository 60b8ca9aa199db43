"""How the files of values go from task to task: chosen by ``[cwl] intermediate_storage``, here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from cwl_ui_plugin.dags import sharing

if TYPE_CHECKING:
    from cwl_ui_plugin.cwl.engine.results import ResultsKeeper
    from cwl_ui_plugin.cwl.value_files import Written
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry

Value = TypeVar("Value")


class Staging(Protocol):
    """How the files of values come to a task, and to those after it. Values are JSON, with Files at any depth."""

    def note(self, values: object) -> None:
        """Know values that the task was given, and may hand on; their files are not had here."""

    def fetch(self, values: Value, *, is_own: bool = False) -> Value:
        """Return values with their files on this machine; ``is_own``: the task may write to these.

        Raises:
            StepError: a file can't be had; ``temporaryFail`` if that may pass.

        """

    def put(self, values: Value) -> Value:
        """Return values as other tasks can read them, once all of their files can be read.

        Raises:
            StepError: a file can't be handed on; ``temporaryFail`` if that may pass.

        """

    def keep_value(self, run: tuple[str, str], write: Callable[[BinaryIO], Written]) -> Written:
        """Keep a value of a run that is too large for an XCom; ``write`` writes it into a file.

        Raises:
            OSError: it can't be written.
            StepError: it can't be handed on; ``temporaryFail`` if that may pass.

        """

    def open_value(self, run: tuple[str, str], known: Written) -> BinaryIO:
        """Open such a value.

        Raises:
            OSError: it is not there, or can't be read.
            StepError: it can't be had; ``temporaryFail`` if that may pass.

        """

    def results(self, task: TaskTry, continued: str | None) -> ResultsKeeper | None:
        """Return where the results of a step are kept; None where that is the folder of the run.

        ``continued`` is the run that the task's goes on from.
        """

    def close(self) -> None:
        """Remove what nobody needs any more once the task has ended."""


class SharedFolders:
    """All machines see the same files: there is nothing to do."""

    def note(self, values: object) -> None:
        """Do nothing."""

    def fetch(self, values: Value, *, is_own: bool = False) -> Value:
        """Return the values: their files are here."""
        return values

    def put(self, values: Value) -> Value:
        """Return the values: the others see the same files."""
        return values

    def keep_value(self, run: tuple[str, str], write: Callable[[BinaryIO], Written]) -> Written:
        """Keep it among the values of the run."""
        from cwl_ui_plugin.dags.folders import kept_values

        return kept_values.keep(*run, write)

    def open_value(self, run: tuple[str, str], known: Written) -> BinaryIO:
        """Open it there."""
        from cwl_ui_plugin.dags.folders import kept_values

        return kept_values.open_kept(*run, known)

    def results(self, task: TaskTry, continued: str | None) -> None:
        """Return None: they are kept beside the files."""

    def close(self) -> None:
        """Do nothing: the files go with their run."""


SHARED = SharedFolders()


def staging_of(task: TaskTry, confines: Callable[[], Callable[[Path], bool]], on_wait: Callable[[], None]) -> Staging:
    """Return how a task has the files that it reads, and hands on what it makes.

    ``confines`` returns what says whether its run may read a file, by its path without links; ``on_wait`` is called
    often meanwhile, and raises when the run was stopped.
    """
    if sharing.shares_folders():
        return SHARED
    from cwl_ui_plugin.dags.staging.staged_objects import StagedObjects, Try
    from cwl_ui_plugin.fetching.site import intermediate_root

    root = intermediate_root()
    if root is None:
        return SHARED
    name = f"{task.task_id}.{task.map_index}.{task.try_number}"
    return StagedObjects(root, Try(task.dag_id, task.run_id, name, task.folder), confines(), on_wait)
