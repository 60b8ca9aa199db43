"""The control of a task: its lease known where a stop looks for it, and its document there. Chosen here.

Where all machines share folders, both are so once the files are written: nothing is to be done, and nothing is.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cwl_ui_plugin.dags.sharing import shares_folders

if TYPE_CHECKING:
    from cwl_ui_plugin.cwl.engine.secrets import SecretsKeeper
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry


class Control(Protocol):
    """What a task asks of whoever controls it."""

    def hold(self, task: TaskTry) -> None:
        """Return once the lease of a try is where a stop looks for it, and the word of a stop is where a try looks.

        The lease is written on this machine already.

        Raises:
            RelayError: nothing of the try may start.

        """

    def settle(self, task: TaskTry) -> None:
        """See to it that what a try has printed, and that it has no lease any more, is known; never raises."""

    def document(self, dag_id: str, version: str) -> tuple[Path, str] | None:
        """Return a store with the document of this process's task, and its revision; None where there is none.

        ``version`` is that of the Dag bundle. Raise :class:`RelayError` where it can't be had.
        """

    def grant_key(self, conf: object) -> None:
        """Return once the public key is there that the grant in the conf of this process's run names, if there is one.

        Raises:
            RelayError: it can't be had.

        """

    def secrets(self, task: TaskTry, part: str) -> SecretsKeeper:
        """Return who keeps the secrets of a try's run, or of a part of it; what that does raises :class:`RelayError`.

        Nobody else can read them: of other machines only tasks of the run.
        """


class SharedFolders:
    """All machines see the same files."""

    def hold(self, _task: TaskTry) -> None:
        """Do nothing: the lease is where it belongs."""

    def settle(self, _task: TaskTry) -> None:
        """Do nothing: all files are where they belong."""

    def document(self, _dag_id: str, _version: str) -> tuple[Path, str] | None:
        """Return None: the one store has it, or nobody has."""
        return None

    def grant_key(self, _conf: object) -> None:
        """Do nothing: the one folder of keys has it."""

    def secrets(self, task: TaskTry, part: str) -> SecretsKeeper:
        """Return the file in the folder of the run."""
        from cwl_ui_plugin.cwl.engine.secrets import SecretsFile
        from cwl_ui_plugin.dags.folders import run_folder

        return SecretsFile(run_folder.secrets_file(task.dag_id, task.run_id, part))


def control() -> Control:
    """Return the control of this process's task."""
    if shares_folders():
        return SharedFolders()
    from cwl_ui_plugin.dags.relaying.asking import Relayed

    return Relayed()
