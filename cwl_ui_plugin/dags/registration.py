"""Making a stored workflow known to Airflow at once, from the API server.

The Dag processor would find it within seconds; a user who just uploaded a workflow wants to run it now. The same parse
and the same write as the Dag processor's are done here; when it comes round it finds nothing to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cwl_ui_plugin.dags.bundle import file_name
from cwl_ui_plugin.dags.errors import RegistrationError
from cwl_ui_plugin.dags.names import BUNDLE

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


def register(dag_id: str) -> None:
    """Write the Dag of a stored workflow into Airflow's database: when this returns, it can be triggered.

    Raises:
        RegistrationError: the bundle is not configured, or its Dag file can't be parsed.

    """
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
    from airflow.utils.session import create_session

    manager: Any = DagBundlesManager()  # type: ignore[no-untyped-call]
    try:
        bundle = manager.get_bundle(BUNDLE)
    except ValueError as error:
        raise RegistrationError(
            f"Airflow has no Dag bundle {BUNDLE!r}: add it to [dag_processor] dag_bundle_config_list "
            "(`cwl-ui-plugin init` does that)."
        ) from error
    bundle.initialize()
    bundle.refresh()
    version = bundle.files_version()
    bag = BundleDagBag(
        dag_folder=str(bundle.path / file_name(dag_id)),
        bundle_path=bundle.path,
        bundle_name=BUNDLE,
        safe_mode=False,
    )
    if bag.import_errors:
        raise RegistrationError("; ".join(text.strip().splitlines()[-1] for text in bag.import_errors.values()))
    with create_session() as session:
        _ensure_bundle_row(manager, session)
        sync_bag_to_db(bag, BUNDLE, version, session=session)
        _store_now(bag, version, session)
        _set_bundle_version(version, session)


def unregister(dag_id: str) -> None:
    """Take the Dag of a deleted workflow out of Airflow's lists; its runs stay in the database."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(DagModel).where(DagModel.dag_id == dag_id).values(is_stale=True))


def _store_now(bag: Any, version: str, session: Session) -> None:
    """Store the Dags themselves also where Airflow puts that off, as it has stored them a short time ago.

    A run would else have the tasks of one version and be pinned to another
    (``[core] min_serialized_dag_update_interval``).
    """
    from airflow.configuration import conf
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import LazyDeserializedDAG

    if conf.getint("core", "min_serialized_dag_update_interval", fallback=0) <= 0:
        return
    session.flush()
    for dag in bag.dags.values():
        SerializedDagModel.write_dag(
            LazyDeserializedDAG.from_dag(dag), bundle_name=BUNDLE, bundle_version=version, session=session
        )


def _ensure_bundle_row(manager: Any, session: Session) -> None:
    from airflow.models.dagbundle import DagBundleModel

    if session.get(DagBundleModel, BUNDLE) is None:
        manager.sync_bundles_to_db(session=session)
        session.flush()


def _set_bundle_version(version: str, session: Session) -> None:
    """Let the Dag processor see that the bundle has moved on; it then looks again by itself."""
    from airflow.models.dagbundle import DagBundleModel
    from sqlalchemy import update

    session.execute(update(DagBundleModel).where(DagBundleModel.name == BUNDLE).values(version=version))
