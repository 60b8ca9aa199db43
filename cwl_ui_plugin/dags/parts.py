"""Parts of a Dag that somebody wrote which run a document: a group of tasks, or one task.

A run of such a Dag is none of CWL: its conf has no job, and it has no grant. What a part may read, and where it
delivers to, is told here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cwl_ui_plugin.cwl.errors import DocumentError, StepError
from cwl_ui_plugin.dags.dag_files import calling_file, document_of_file, kept_document, stored_document
from cwl_ui_plugin.dags.errors import DagFileError
from cwl_ui_plugin.library.revisions import digest_of_revision
from cwl_ui_plugin.library.versions import StoredVersion

if TYPE_CHECKING:
    from airflow.sdk.types import DagRunProtocol, RuntimeTaskInstanceProtocol

    from cwl_ui_plugin.cwl.plan import Plan
    from cwl_ui_plugin.dags.access.permits import Permit
    from cwl_ui_plugin.dags.folders.placement import Held

BEGUN_KEY = "cwl_begun"
"""XCom key of the first task of a group: the version that its tasks run."""


@dataclass(frozen=True)
class Part:
    """A part of a Dag: ``name`` is the id of its group or task.

    ``version`` is the revision of its document, which is of the store where there is a ``workflow_dag_id``; ``begin``
    is the first task of a group. ``input_roots`` are folders that the author of the Dag lets its files be in, besides
    those that everybody's may be in.
    """

    name: str
    version: str = ""
    begin: str = ""
    input_roots: tuple[Path, ...] = ()
    workflow_dag_id: str = ""

    def begun(self, ti: RuntimeTaskInstanceProtocol) -> str | None:
        """Return the version that the first task has begun with; None where Airflow has skipped it, and so all."""
        found = ti.xcom_pull(task_ids=self.begin, key=BEGUN_KEY) if self.begin else self.version
        return found if isinstance(found, str) else None

    def earlier(self, version: str, now: Plan) -> StoredVersion:
        """Return the document that the group has begun with, which another has taken the place of since.

        Raises:
            StepError: its tasks are others, or it is not there any more.

        """
        digest = digest_of_revision(version) or ""
        try:
            found = stored_document(self.workflow_dag_id, digest) if self.workflow_dag_id else kept_document(digest)
            if found.plan.layout == now.layout:
                return found
        except DocumentError:
            pass  # it was removed
        raise StepError(
            f"The document of the group {self.name!r} was changed after the group had begun, and has other tasks now. "
            f"Clear {self.begin!r} with all that follows, to run it as it is now; or name a version in the Dag file."
        )

    def permit(self, run: DagRunProtocol) -> Permit:
        """Return what a part may do: its files may also be what this run has delivered, and in ``input_roots``.

        Raises:
            JobError: only signed runs are allowed, and this one is not.

        """
        from cwl_ui_plugin.dags.access import permits
        from cwl_ui_plugin.dags.folders import placement

        own = placement.delivered_by(run.dag_id, run.run_id, run.run_after)
        return permits.permit_part(run.conf, dag_id=run.dag_id, run_id=run.run_id, roots=(*self.input_roots, *own))

    def hold(self, run: DagRunProtocol, map_index: int) -> Held:
        """Claim the folder that a part delivers to; see :func:`placement.hold_part`."""
        from cwl_ui_plugin.dags.folders import placement

        name = self.name if map_index < 0 else f"{self.name}.{map_index}"
        return placement.hold_part(run.dag_id, run.run_id, run.run_after, name)


def named_document(
    path: str | Path | None, workflow_dag_id: str | None, digest: str | None, dag_file: str | None = None
) -> StoredVersion:
    """Return what a part of a Dag runs: a document beside the Dag file, or an uploaded workflow.

    Raises:
        DagFileError: the Dag file names both or none.
        DocumentError: there is none, or it can't be used.

    """
    if (path is None) == (workflow_dag_id is None):
        raise DagFileError(
            "Name either a CWL document by its path (workflow='x.cwl', tool='x.cwl') or an uploaded workflow by its "
            "dag_id (workflow_dag_id='x')."
        )
    if workflow_dag_id is not None:
        return stored_document(workflow_dag_id, digest)
    if digest is not None:
        raise DagFileError("Only an uploaded workflow (workflow_dag_id='x') has versions.")
    assert path is not None  # noqa: S101 - for mypy
    return document_of_file(path, dag_file or calling_file(), "")


def checked_roots(roots: Iterable[str | Path]) -> tuple[Path, ...]:
    """Return folders that a Dag file names; raise :class:`DagFileError` for paths that are not absolute."""
    found = [roots] if isinstance(roots, (str, Path)) else list(roots)
    for root in found:
        if not Path(root).is_absolute() or ".." in Path(root).parts:
            raise DagFileError(f"input_roots names {str(root)!r}: give the absolute path of a folder.")
    return tuple(Path(root) for root in found)
