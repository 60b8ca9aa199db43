"""What a standalone server does before it starts: bring the database up to date and make the login.

One process, so that Airflow is imported once.
"""

from __future__ import annotations

import os
import sys


def main(auth: str) -> None:
    """Migrate; with FabAuthManager, create the administrator or give it this home's password."""
    from airflow.utils.db import initdb

    initdb()
    if auth == "fab":
        _create_admin(os.environ["CWL_UI_PASSWORD"])


def _create_admin(password: str) -> None:
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        user = manager.find_user(username="admin")
        if user is None:
            role = manager.find_role("Admin")
            manager.add_user("admin", "CWL", "Admin", "admin@localhost", role, password=password)
        else:
            manager.reset_password(user.id, password)


if __name__ == "__main__":
    main(sys.argv[1])
