"""Workflows that no Dag can be made of, as Airflow shows them: by an import error of a Dag file of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cwl_ui_plugin.dags.bundle import BROKEN_FOLDER, CwlDagBundle, file_name, remove_dag_file
from cwl_ui_plugin.dags.names import BUNDLE

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

BROKEN_AGAIN_SECONDS = 300
"""How long a workflow that no Dag could be made of is left alone."""
_UNSYNCED = {"synchronize_session": False}


def tell(errors: Mapping[str, str], revisions: Mapping[str, str], bundle: CwlDagBundle, version: str) -> None:
    """Tell Airflow which workflows no Dag can be made of, and why: as it does of Dag files."""
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    bag = BundleDagBag(dag_folder=str(bundle.path), bundle_path=bundle.path, bundle_name=BUNDLE, collect_dags=False)
    for dag_id, text in errors.items():
        bundle.write_broken_file(dag_id, revisions[dag_id])
        bag.import_errors[_name(dag_id)] = text
    with create_session() as session:
        sync_bag_to_db(bag, BUNDLE, version, session=session)
        for dag_id in errors:
            # Airflow shows an import error to those who may read the Dags of that file; of a file of none, to all.
            if session.get(DagModel, dag_id) is None:
                session.add(DagModel(dag_id=dag_id, bundle_name=BUNDLE, is_paused=False))  # type: ignore[no-untyped-call]
                session.flush()
            row = update(DagModel).where(DagModel.dag_id == dag_id, DagModel.bundle_name == BUNDLE)
            values = {"is_stale": True, "has_import_errors": True, "relative_fileloc": _name(dag_id)}
            session.execute(row.values(**values), execution_options=_UNSYNCED)


def known(session: Session) -> set[str]:
    """Return the workflows that Airflow shows an import error of."""
    from airflow.models.errors import ParseImportError
    from sqlalchemy import select

    found = select(ParseImportError.filename).where(
        ParseImportError.bundle_name == BUNDLE, ParseImportError.filename.like(f"{BROKEN_FOLDER}/%.py")
    )
    return {name.removeprefix(f"{BROKEN_FOLDER}/").removesuffix(".py") for name in session.scalars(found) if name}


def forget(dag_id: str, bundle: CwlDagBundle, session: Session) -> None:
    """Take back that no Dag could be made of a workflow."""
    from airflow.models.errors import ParseImportError
    from sqlalchemy import delete

    errors = delete(ParseImportError).where(ParseImportError.bundle_name == BUNDLE)
    session.execute(errors.where(ParseImportError.filename == _name(dag_id)), execution_options=_UNSYNCED)
    remove_dag_file(bundle.broken_file(dag_id))


def was_tried(bundle: CwlDagBundle, dag_id: str, revision: str) -> bool:
    """Whether this Dag processor has tried a short time ago to make a Dag of a revision, in vain."""
    if not bundle.is_broken_file_of(dag_id, revision):
        return False
    return time.time() - bundle.broken_file(dag_id).stat().st_mtime < BROKEN_AGAIN_SECONDS


def _name(dag_id: str) -> str:
    return f"{BROKEN_FOLDER}/{file_name(dag_id)}"
