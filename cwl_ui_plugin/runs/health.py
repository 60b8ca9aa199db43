"""Whether the plugin is set up in this Airflow."""

from __future__ import annotations

import logging

from cwl_ui_plugin.dags.names import BUNDLE

log = logging.getLogger(__name__)


def is_ready() -> bool:
    """Whether the database answers and the Dag bundle is configured: what an upload and a trigger need."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.session import create_session
    from sqlalchemy import text
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with create_session(scoped=False) as session:
            session.execute(text("SELECT 1"))
        DagBundlesManager().get_bundle(BUNDLE)  # type: ignore[no-untyped-call]
    except (SQLAlchemyError, ValueError) as error:
        log.warning("Not ready: %s", error)
        return False
    return True
