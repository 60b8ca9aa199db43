"""Migrations lead an existing database to the tables that a new one gets from the models."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect


@pytest.fixture(params=["sqlite", "postgresql"])
def connection(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """An empty database."""
    if request.param == "sqlite":
        with create_engine("sqlite://").connect() as made:
            yield made
        return
    from support.scale_out import postgresql

    with postgresql(tmp_path_factory.mktemp("postgresql") / "server") as address:
        engine = create_engine(f"postgresql+psycopg2://{address}")
        with engine.connect() as made:
            yield made
        engine.dispose()


def test_an_old_database_gets_what_a_new_one_has(airflow_home: Path, connection: Connection) -> None:
    from cwl_ui_plugin.reports.table_base import Base
    from cwl_ui_plugin.reports.tables import CwlDBManager

    scripts = ScriptDirectory(CwlDBManager.migration_dir)
    assert len(scripts.get_heads()) == 1
    revisions = list(scripts.walk_revisions())
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    with Operations.context(context):
        for revision in reversed(revisions):
            revision.module.upgrade()
        assert compare_metadata(context, Base.metadata) == []
        assert set(inspect(connection).get_table_names()) == set(Base.metadata.tables)
        for revision in revisions:
            revision.module.downgrade()
    assert inspect(connection).get_table_names() == []
