"""The Dag bundle: the store of workflows as Airflow's Dag files.

One Dag file stands for all workflows. Its text never changes, it makes only those Dags that somebody asks for, and the
Dag processor asks for none: the bundle itself sees to it that Airflow knows them (``known_dags``), so that thousands of
workflows at rest cost nothing. A workflow that no Dag can be made of has a Dag file of its own, by which Airflow shows
why.

Airflow pins a run to the bundle's version, so a run keeps the workflows of the moment it was triggered. The folder for
the newest version never moves (``tracking``): Airflow reads files of a moved folder under the old path.
"""

from __future__ import annotations

import logging
import os
import shutil
import uuid
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.dag_processing.bundles import base
from airflow.dag_processing.bundles.base import BaseDagBundle

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN, VERSION_FILE
from cwl_ui_plugin.dags.preload import is_dag_processor
from cwl_ui_plugin.dags.sharing import shares_folders
from cwl_ui_plugin.library.current_manifest import manifest_of
from cwl_ui_plugin.library.site_store import store_at
from cwl_ui_plugin.library.versions import is_digest

if TYPE_CHECKING:
    from cwl_ui_plugin.dags.known_dags import KnownDags

REFRESH_SECONDS = 5
WORKFLOWS_FILE = "workflows.py"
"""The Dag file of all workflows."""
BROKEN_FOLDER = "broken"
"""Has a Dag file for each workflow that no Dag can be made of, named after it."""

# "airflow" and "dag" must stand in a file for Airflow to look into it.
_WORKFLOWS = '''"""The Airflow Dags made from uploaded CWL workflows. Written by cwl-ui-plugin; changes are lost."""

from cwl_ui_plugin.dags.stored import stored_dags

globals().update(stored_dags(__file__, store={store!r}))
'''
_BROKEN = '''"""A CWL workflow that no Airflow Dag can be made of. Written by cwl-ui-plugin; changes are lost."""

from cwl_ui_plugin.dags.stored import stored_dag

stored_dag({dag_id!r}, {revision!r}, store={store!r})
'''
_CLEAN_DAG_RUN = '''"""The Airflow Dag that stops runs of other Dags. Written by cwl-ui-plugin; changes are lost."""

from cwl_ui_plugin.dags.clean_dag_run import clean_dag_run_dag

dag = clean_dag_run_dag()
'''
log = logging.getLogger(__name__)


class CwlDagBundle(BaseDagBundle):
    """The workflows of the store; ``workflows_folder`` overrides ``[cwl] workflows_folder``."""

    supports_versioning = True

    def __init__(
        self, *, workflows_folder: str | None = None, refresh_interval: int = REFRESH_SECONDS, **kwargs: Any
    ) -> None:
        super().__init__(refresh_interval=refresh_interval, **kwargs)
        folder = Path(workflows_folder).expanduser() if workflows_folder else config.workflows_folder()
        self.store = store_at(folder.resolve())
        self._known: KnownDags | None = None

    @property
    def path(self) -> Path:
        """The folder with the Dag files of this bundle's version."""
        return self.versions_dir / self.version if self.version else self.base_dir / "tracking"

    def initialize(self) -> None:
        """Write the Dag files, if they are not there."""
        config.make_folders()
        with self.lock():
            if self.version:
                self._write_version(self.version)
            elif not is_digest(_read(self.path / VERSION_FILE) or ""):  # none yet, or a machine that failed has cut it
                self._track()
        super().initialize()

    def refresh(self) -> None:
        """Let the tracking folder follow the store; in the Dag processor, let Airflow's database follow it, too."""
        if is_dag_processor():
            self._known_dags().look()
        else:
            self.track()

    def track(self) -> dict[str, str]:
        """Let the tracking folder follow the store; return the manifest that it has now."""
        if self.version:
            raise RuntimeError("A bundle of one version does not change.")
        with self.lock():
            return self._track()

    def _known_dags(self) -> KnownDags:
        from cwl_ui_plugin.dags.known_dags import KnownDags

        if self._known is None:
            self._known = KnownDags(self)
        return self._known

    def get_current_version(self) -> base.BundleVersion | str:
        """Return the version for Airflow: a string up to 3.2, then an object that is made of one."""
        version = self.files_version()
        return base.BundleVersion(version=version) if hasattr(base, "BundleVersion") else version

    def files_version(self) -> str:
        """Return the version that the Dag files are of, not one that the store may have by now."""
        return self.version or (self.path / VERSION_FILE).read_text(encoding="ascii")

    def _track(self) -> dict[str, str]:
        manifest = manifest_of(self.store)
        self.path.mkdir(parents=True, exist_ok=True)
        version = self.store.keep_manifest(manifest)
        files = self._files()
        for name, text in files.items():
            _write_if_changed(self.path / name, text)
        if _read(self.path / VERSION_FILE) != version:
            for path in [*self.path.glob("*.py"), *(self.path / BROKEN_FOLDER).glob("*.py")]:
                if path.name not in files and (path.parent == self.path or path.stem not in manifest):
                    remove_dag_file(path)
            _write_if_changed(self.path / VERSION_FILE, version)
        return manifest

    def _write_version(self, version: str) -> None:
        """Write the Dag files of a version; anew where they are others.

        Runs may be pinned to it, and modules that those files import may have other names by now, or the store another
        place.
        """
        files = {VERSION_FILE: version, **self._files()}
        if all(_read(self.path / name) == text for name, text in files.items()):
            return
        if shares_folders():  # else the task's own part of it is fetched when its Dag is made (see ``stored``)
            self.store.kept_manifest(version)
        if self.path.exists():
            for name, text in files.items():
                _write_if_changed(self.path / name, text)
            return
        building = self.versions_dir / f".{uuid.uuid4().hex}"
        building.mkdir(parents=True)
        try:
            for name, text in files.items():
                (building / name).write_text(text, encoding="utf-8")
            building.rename(self.path)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def _files(self) -> dict[str, str]:
        return {
            WORKFLOWS_FILE: _WORKFLOWS.format(store=str(self.store.root)),
            file_name(CLEAN_DAG_RUN): _CLEAN_DAG_RUN,
        }

    def broken_file(self, dag_id: str) -> Path:
        """Return where the Dag file of a workflow is that no Dag can be made of."""
        return self.path / BROKEN_FOLDER / file_name(dag_id)

    def broken(self) -> set[str]:
        """Return the workflows that have such a Dag file."""
        return {path.stem for path in (self.path / BROKEN_FOLDER).glob("*.py")}

    def is_broken_file_of(self, dag_id: str, revision: str) -> bool:
        """Whether there is such a Dag file of a workflow, and it is of this revision."""
        return _read(self.broken_file(dag_id)) == self._broken_text(dag_id, revision)

    def write_broken_file(self, dag_id: str, revision: str) -> None:
        """Write it; what was found out now is not found out again soon."""
        file = self.broken_file(dag_id)
        file.parent.mkdir(parents=True, exist_ok=True)
        _write_if_changed(file, self._broken_text(dag_id, revision))
        file.touch()

    def _broken_text(self, dag_id: str, revision: str) -> str:
        return _BROKEN.format(dag_id=dag_id, revision=revision, store=str(self.store.root))


def file_name(dag_id: str) -> str:
    """Return the name of a Dag file that is of one Dag only."""
    return f"{dag_id}.py"


def remove_dag_file(path: Path) -> None:
    """Remove a Dag file, and what Python has made of it."""
    path.unlink(missing_ok=True)
    Path(cache_from_source(path)).unlink(missing_ok=True)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None


def _write_if_changed(path: Path, text: str) -> None:
    """Replace a file in one step, and only if its content differs: Airflow reads again what has a new time.

    The new time is another second. The files of two versions are of the same size, and Python takes bytecode for that
    of a file with the same size and second: Airflow would run one version and call it the other.
    """
    earliest = 0.0
    if path.exists():
        if _read(path) == text:
            return
        earliest = int(path.stat().st_mtime) + 1.0
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    if beside.stat().st_mtime < earliest:
        os.utime(beside, (earliest, earliest))
    beside.replace(path)
