"""Which files a user may use as inputs. This is the one place that decides it; every way in asks here.

Everybody may use what is in ``[cwl] inputs_folder`` and ``input_roots``, except for what belongs to somebody: uploads
(``inputs_folder/uploads``) are for whoever sent them, outputs for whoever may see the workflow that made them. Anything
else in the plugin's own folders is for nobody.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.cwl.files import local_path
from cwl_ui_plugin.cwl.jobs.types import FileRules
from cwl_ui_plugin.dags.access.file_access import file_rules
from cwl_ui_plugin.dags.folders import claims
from cwl_ui_plugin.dags.folders.claims import Claim
from cwl_ui_plugin.fetching.site import uploads_root
from cwl_ui_plugin.services.inputs import owners

log = logging.getLogger(__name__)
MayRead = Callable[[str], bool]


class InputAccess:
    """What somebody may use as inputs.

    ``owner`` is the name of the user whose uploads count, None for nobody's; ``may_read`` tells of which Dags, by their
    ids, the runs and outputs may be seen. Made for one request: what was asked once is not asked again.
    """

    def __init__(self, owner: str | None, may_read: MayRead) -> None:
        self.owner = owner
        self.may_read = may_read
        self._asked: dict[Path, bool] = {}

    def rules(self, job: Mapping[str, object]) -> FileRules:
        """Return the rules that a job is checked with: shared folders, and :meth:`granted` ones."""
        return file_rules(self.granted(job))

    def granted(self, job: Mapping[str, object]) -> tuple[Path, ...]:
        """Return the folders, not everybody's, that a job's files are in and that this user may use; links resolved."""
        found = {self._own_folder(real) for path in named_paths(job) if (real := self.real_path(path)) is not None}
        return tuple(sorted(folder for folder in found if folder is not None))

    def allows(self, path: Path, *, whole: bool = False) -> bool:
        """Whether the user may name a path, or with ``whole`` everything below it as well. It need not exist."""
        real = self.real_path(path)
        return real is not None and self._rules_for(real).allows(real, whole=whole)

    def real_path(self, path: Path) -> Path | None:
        """Return where a path of a job leads to; see :func:`real_path`."""
        return real_path(path, self._base)

    def root_of(self, real: Path) -> Path | None:
        """Return the folder that opens a path without links to this user, or None for a path they may not use."""
        return self._rules_for(real).root_of(real)

    def _rules_for(self, real: Path) -> FileRules:
        own = self._own_folder(real)
        return file_rules([own]) if own is not None else self._shared

    @cached_property
    def _shared(self) -> FileRules:
        return file_rules()

    @cached_property
    def _homes(self) -> tuple[tuple[Path, MayRead], ...]:
        """What uploads and outputs are in, and who may use a folder of theirs."""
        return (config.uploads_folder().resolve(), self._owns), (config.outputs_folder().resolve(), self.may_read)

    @cached_property
    def _named_roots(self) -> tuple[Path, ...]:
        return config.named_roots()

    @cached_property
    def _base(self) -> Path:
        return config.inputs_folder()

    def _own_folder(self, real: Path) -> Path | None:
        """Return the upload, the workflow's outputs or the run's that a path lies in, if this user may use it."""
        for parent, may_use in self._homes:
            if real.is_relative_to(parent) and real != parent:
                folder = parent / real.relative_to(parent).parts[0]
                return folder if self._may_use(folder, folder.name, may_use) else None
        claim = _claim_on(real, self._named_roots)
        return claim.path if claim and self._may_use(claim.path, claim.dag_id, self.may_read) else None

    def _may_use(self, folder: Path, name: str, ask: MayRead) -> bool:
        if folder not in self._asked:
            self._asked[folder] = ask(name)
        return self._asked[folder]

    def _owns(self, upload: str) -> bool:
        return self.owner is not None and owners.owner_of(upload) == self.owner


class GrantedAccess(InputAccess):
    """What somebody might use when they saved a schedule or made a batch: these folders, and what everybody may."""

    def __init__(self, roots: tuple[Path, ...]) -> None:
        super().__init__(None, lambda _dag_id: False)
        self._roots = roots

    def _own_folder(self, real: Path) -> Path | None:
        return next((root for root in self._roots if real.is_relative_to(root)), None)


def shared_only() -> InputAccess:
    """Return what everybody may use, and nothing else."""
    return InputAccess(None, lambda _dag_id: False)


def _claim_on(real: Path, roots: Iterable[Path]) -> Claim | None:
    """Return which run has the output folder that a path is in, where its job chose one in ``[cwl] output_roots``."""
    for root in roots:
        if real.is_relative_to(root):
            try:
                return claims.holder(real, root)
            except (OSError, config.ConfigError) as error:
                log.warning("Whose the folder of %s is can't be read: %s", real, error)
    return None


def real_path(path: Path, base: Path | None = None) -> Path | None:
    """Return where a path of a job leads to, its links resolved; None where that can't be told. It need not exist."""
    try:
        return ((base or config.inputs_folder()) / path).resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def named_paths(job: object) -> Iterator[Path]:
    """Yield where the Files and Directories of a job are, at any depth, whatever its inputs are declared as.

    What was uploaded to a store is in the folder of its upload, which is kept for that and may be empty.
    """
    uploads = uploads_root()
    waiting = [job]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting += node
        elif isinstance(node, dict):
            waiting += node.values()
            for name in ("location", "path"):
                location = node.get(name)
                if uploads and isinstance(location, str) and (upload := uploads.folder_in(location)):
                    yield config.uploads_folder() / upload
                elif (path := _path(location)) is not None:
                    yield path


def _path(location: object) -> Path | None:
    if not isinstance(location, str) or not location:
        return None
    if stored := store_paths.path_of(location):
        return stored
    return local_path({"location": location}) or (None if "://" in location else Path(location))
