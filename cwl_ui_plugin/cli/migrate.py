"""What a standalone server does before it starts: bring the database up to date and make the logins.

One process, so that Airflow is imported once.
"""

from __future__ import annotations

import json
import os
import sys


def main(auth: str) -> None:
    """Migrate; with FabAuthManager, create the users or give them this home's passwords and roles."""
    from airflow.utils.db import initdb

    initdb()
    if auth == "fab":
        _set_users(json.loads(os.environ["CWL_UI_USERS"]))


def _set_users(users: list[tuple[str, str, str]]) -> None:
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        manager = builder.sm
        for name, role_name, password in users:
            role = manager.find_role(role_name.capitalize())
            user = manager.find_user(username=name)
            if user is None:
                manager.add_user(name, "CWL", role.name, f"{name}@localhost", role, password=password)
            else:
                if role not in user.roles:
                    user.roles = [role]
                    manager.update_user(user)
                manager.reset_password(user.id, password)


if __name__ == "__main__":
    main(sys.argv[1])
