"""Alembic's environment: Airflow's database, the plugin's tables and version table."""

from __future__ import annotations

from typing import Any

from airflow import settings
from alembic import context

from cwl_ui_plugin.reports.tables import CwlDBManager

METADATA = CwlDBManager.metadata


def _is_ours(_item: object, name: str | None, kind: str, *_arguments: object) -> bool:
    return kind != "table" or name in METADATA.tables


def _configure(**options: Any) -> None:
    context.configure(
        target_metadata=METADATA,
        version_table=CwlDBManager.version_table_name,
        include_object=_is_ours,
        render_as_batch=True,
        compare_type=True,
        **options,
    )
    with context.begin_transaction():
        context.run_migrations()


if context.is_offline_mode():
    _configure(url=settings.SQL_ALCHEMY_CONN, literal_binds=True)
else:
    assert settings.engine is not None  # noqa: S101 - Airflow has configured it before it migrates
    with settings.engine.connect() as connection:
        _configure(connection=connection, transaction_per_migration=True)
