"""The Dag bundle: the store of workflows as Airflow's Dag files, one line of code each.

Airflow pins a run to the bundle's version, so a run keeps the workflows of the moment it was triggered. The folder for
the newest version never moves (``tracking``): Airflow reads files of a moved folder under the old path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any

from airflow.dag_processing.bundles import base
from airflow.dag_processing.bundles.base import BaseDagBundle

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.names import CLEAN_DAG_RUN
from cwl_ui_plugin.library.store import WorkflowStore

REFRESH_SECONDS = 5
VERSION_FILE = ".version"
TEMPLATE_FILE = ".template"
"""Which text the Dag files of a version were written with."""

# "airflow" and "dag" must stand in a file for Airflow to look into it.
_WORKFLOW = '''"""An Airflow Dag made from an uploaded CWL workflow. Written by cwl-ui-plugin; changes are lost."""

from cwl_ui_plugin.dags.stored import stored_dag

dag = stored_dag({dag_id!r}, {revision!r}, store={store!r})
'''
_CLEAN_DAG_RUN = '''"""The Airflow Dag that stops runs of other Dags. Written by cwl-ui-plugin; changes are lost."""

from cwl_ui_plugin.dags.clean_dag_run import clean_dag_run_dag

dag = clean_dag_run_dag()
'''
_TEMPLATE = hashlib.sha256((_WORKFLOW + _CLEAN_DAG_RUN).encode()).hexdigest()


class CwlDagBundle(BaseDagBundle):
    """The workflows of the store; ``workflows_folder`` overrides ``[cwl] workflows_folder``."""

    supports_versioning = True

    def __init__(
        self, *, workflows_folder: str | None = None, refresh_interval: int = REFRESH_SECONDS, **kwargs: Any
    ) -> None:
        super().__init__(refresh_interval=refresh_interval, **kwargs)
        folder = Path(workflows_folder).expanduser() if workflows_folder else config.workflows_folder()
        self.store = WorkflowStore(folder.resolve())

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
            elif not (self.path / VERSION_FILE).exists():
                self._track()
        super().initialize()

    def refresh(self) -> None:
        """Let the tracking folder follow the store."""
        if self.version:
            raise RuntimeError("A bundle of one version does not change.")
        with self.lock():
            self._track()

    def get_current_version(self) -> base.BundleVersion | str:
        """Return the version for Airflow: a string up to 3.2, then an object that is made of one."""
        version = self.files_version()
        return base.BundleVersion(version=version) if hasattr(base, "BundleVersion") else version

    def files_version(self) -> str:
        """Return the version that the Dag files are of, not one that the store may have by now."""
        return self.version or (self.path / VERSION_FILE).read_text(encoding="ascii")

    def _track(self) -> None:
        manifest = self.store.manifest()
        files = self._files(manifest)
        self.path.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            _write_if_changed(self.path / name, text)
        for path in self.path.glob("*.py"):
            if path.name not in files:
                path.unlink()
                Path(cache_from_source(path)).unlink(missing_ok=True)
        _write_if_changed(self.path / VERSION_FILE, self.store.keep_manifest(manifest))

    def _write_version(self, version: str) -> None:
        """Write the Dag files of a version; anew where another version of the plugin has written them.

        Runs may be pinned to it, and modules that those files import may have other names by now.
        """
        if _read(self.path / TEMPLATE_FILE) == _TEMPLATE:
            return
        files = {**self._files(self.store.kept_manifest(version)), TEMPLATE_FILE: _TEMPLATE}
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

    def _files(self, manifest: dict[str, str]) -> dict[str, str]:
        files = {
            file_name(dag_id): _WORKFLOW.format(dag_id=dag_id, revision=revision, store=str(self.store.root))
            for dag_id, revision in manifest.items()
        }
        return {**files, file_name(CLEAN_DAG_RUN): _CLEAN_DAG_RUN}


def file_name(dag_id: str) -> str:
    """Return the name of the Dag file of a workflow."""
    return f"{dag_id}.py"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None


def _write_if_changed(path: Path, text: str) -> None:
    """Replace a file in one step, and only if its content differs: Airflow reads again what has a new time.

    The new time is another second. The files of two versions are of the same size, and Python takes bytecode for that
    of a file with the same size and second: Airflow would run one version and call it the other.
    """
    earliest = 0.0
    if path.exists():
        if path.read_text(encoding="utf-8") == text:
            return
        earliest = int(path.stat().st_mtime) + 1.0
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    if beside.stat().st_mtime < earliest:
        os.utime(beside, (earliest, earliest))
    beside.replace(path)
