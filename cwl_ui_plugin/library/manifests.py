"""Manifests: what the current versions of all workflows were at some time, for the runs that are pinned to that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cwl_ui_plugin import last_use
from cwl_ui_plugin.library.errors import DamagedManifest, UnknownWorkflow
from cwl_ui_plugin.library.files import write_json
from cwl_ui_plugin.library.versions import DIGEST_LENGTH, is_digest


class ManifestFolder:
    """The manifests below the root of a store, each by a name made of its content."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._manifests = root / "manifests"

    def manifests(self) -> Iterator[tuple[str, float]]:
        """Yield the names of the manifests that are kept, with when each was used last."""
        with suppress(FileNotFoundError):
            for path in sorted(self._manifests.iterdir()):
                if path.suffix == ".json" and is_digest(path.stem):
                    with suppress(FileNotFoundError):
                        yield path.stem, path.stat().st_mtime

    def remove_manifest(self, name: str, *, unused_since: float) -> bool:
        """Take a manifest out of the store; return False for one that was used since a time."""
        return last_use.take_away(self.manifest_file(name), unused_since=unused_since, folder=self.root)

    def keep_manifest(self, manifest: dict[str, str]) -> str:
        """Keep a manifest for runs pinned to it; return its name, made from its content."""
        text = json.dumps(manifest, sort_keys=True)
        name = name_of(text)
        if not self._use_manifest(self.manifest_file(name)) or not self._is_whole(name, manifest):
            write_json(self.manifest_file(name), manifest)
        return name

    def _is_whole(self, name: str, manifest: dict[str, str]) -> bool:
        """Whether a manifest is as it was written: a machine that fails may leave a file without its content."""
        try:
            return self.kept_manifest(name) == manifest
        except DamagedManifest:
            return False

    def kept_manifest(self, name: str) -> dict[str, str]:
        """Return a manifest kept earlier.

        Raises:
            UnknownWorkflow: there is none.
            DamagedManifest: nobody can say what it had; so nothing that it may name is to be removed.

        """
        try:
            manifest = json.loads(self.manifest_file(name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UnknownWorkflow(f"The store {self.root} has no manifest {name!r}.") from None
        except (ValueError, RecursionError):
            manifest = None
        if not isinstance(manifest, dict) or not all(isinstance(revision, str) for revision in manifest.values()):
            raise DamagedManifest(f"The manifest {self.manifest_file(name)} is damaged; restore it from a backup.")
        return manifest

    def kept_revision(self, name: str, dag_id: str) -> str:
        """Return the revision of one workflow in a manifest, which is not read as a whole: it may have thousands.

        Raises:
            UnknownWorkflow: the manifest is not there, or does not have the workflow.

        """
        try:
            text = self.manifest_file(name).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            raise UnknownWorkflow(f"The store {self.root} has no manifest {name!r}.") from None
        found = re.search(rf'^\s*"{re.escape(dag_id)}": "([^"]+)",?$', text, re.MULTILINE)
        if not found:
            raise UnknownWorkflow(f"The manifest {name!r} has no workflow {dag_id!r}.")
        return found[1]

    def _use_manifest(self, file: Path) -> bool:
        try:
            return last_use.use(file, self.root)
        except OSError:  # the store is not there yet, or this user may only read it
            return file.exists()

    def manifest_file(self, name: str) -> Path:
        """Return the file of a manifest."""
        return self._manifests / f"{name}.json"


def name_of(text: str) -> str:
    """Return the name of a manifest: it is made of its content, as JSON with sorted names."""
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
