"""Documents that Dag files name: beside the file, or in the store of workflows."""

from __future__ import annotations

import sys
from pathlib import Path

from cwl_ui_plugin.cwl.errors import DocumentError
from cwl_ui_plugin.library.versions import StoredVersion

_PACKAGE = str(Path(__file__).parents[1])
_BETWEEN = ("airflow.sdk.", "cwl_airflow_parser.", "cwl_airflow.", "cwl_ui_plugin_legacy.")
"""Airflow's decorators and metaclasses, and the predecessors' names for ours, stand between a Dag file and us."""


def calling_file() -> str:
    """Return the Dag file that is being read: the first caller outside of this package and Airflow's SDK."""
    frame = sys._getframe(1)
    while frame.f_back and (
        frame.f_code.co_filename.startswith(_PACKAGE) or f"{frame.f_globals.get('__name__')}.".startswith(_BETWEEN)
    ):
        frame = frame.f_back
    return frame.f_code.co_filename


def document_of_file(workflow: str | Path, dag_file: str, dag_id: str) -> StoredVersion:
    """Return the compiled document that a Dag file names, by a path relative to that file; raise DocumentError."""
    from cwl_ui_plugin.library.documents import local_document  # uploaded workflows need nothing of it

    try:
        return local_document(Path(dag_file).parent / workflow, dag_id)
    except DocumentError as error:
        raise DocumentError(error.in_full) from error  # Airflow shows the message alone


def kept_document(digest: str) -> StoredVersion:
    """Return a document that a Dag file has named, as it was then; raise :class:`DocumentError` if it is gone."""
    from cwl_ui_plugin.library.documents import kept_document

    return kept_document(digest)


def stored_document(dag_id: str, digest: str | None = None) -> StoredVersion:
    """Return a version of an uploaded workflow, the current one by default.

    Raises:
        DocumentError: there is no such workflow or version, or it has to be compiled anew first.

    """
    from cwl_ui_plugin.library.errors import LibraryError
    from cwl_ui_plugin.library.recompile import usable
    from cwl_ui_plugin.library.site_store import site_store

    store = site_store()
    try:
        return usable(store.current(dag_id) if digest is None else store.version(dag_id, digest))
    except LibraryError as error:
        raise DocumentError(f"A Dag file names the workflow {dag_id!r}. {error}") from error
