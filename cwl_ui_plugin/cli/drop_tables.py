"""What ``cwl-ui-plugin uninstall --drop-tables`` runs with Airflow's configuration: drop the plugin's tables."""

from __future__ import annotations

from typing import Any


def main() -> None:
    """Drop the tables, and the one that says which migrations they have had."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import CwlDBManager

    with create_session() as session:
        manager: Any = CwlDBManager(session)  # type: ignore[no-untyped-call]
        manager.drop_tables(session.connection())


if __name__ == "__main__":
    main()
