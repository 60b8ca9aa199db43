"""The user that signed triggers act as is found where the auth manager keeps its users."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def fab(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """FabAuthManager decides."""
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

    from cwl_ui_plugin.auth import permissions

    manager = FabAuthManager()
    monkeypatch.setattr(permissions, "get_auth_manager", lambda: manager)
    return manager


@pytest.fixture
def account(fab: Any) -> Iterator[Callable[..., str]]:
    """Make an account with rights: ``account(("can_create", "DAG Runs"), active=True)`` returns its name."""
    from airflow.providers.fab.auth_manager.models import Action, Permission, Resource, Role, User
    from airflow.utils.session import create_session
    from sqlalchemy import select

    made: list[Any] = []

    def one(session: Any, kind: Any, **values: str) -> Any:
        found = session.scalar(select(kind).filter_by(**values))
        if found is None:
            found = kind(**values)
            session.add(found)
            made.append(found)
        return found

    def make(*rights: tuple[str, str], active: bool = True) -> str:
        name = f"portal-{uuid.uuid4().hex[:8]}"
        with create_session(scoped=False) as session:
            role = Role(name=f"role-{name}")
            for action, resource in rights:
                right = Permission(
                    action=one(session, Action, name=action), resource=one(session, Resource, name=resource)
                )
                role.permissions.append(right)
            user = User(username=name, first_name="a", last_name="b", email=f"{name}@x", active=active, roles=[role])
            session.add_all([role, user])
        return name

    yield make


def test_a_fab_user_is_found_with_its_rights(account: Callable[..., str]) -> None:
    from cwl_ui_plugin.auth import permissions

    name = account(("can_create", "DAG Runs"), ("can_edit", "DAGs"))
    user = permissions.find_user(name)
    assert user.get_name() == name
    assert permissions.may_trigger(user, "any")
    weak = permissions.find_user(account(("can_read", "DAGs")))
    assert not permissions.may_trigger(weak, "any")


def test_a_fab_user_that_is_not_there_or_not_active_is_none(account: Callable[..., str]) -> None:
    from cwl_ui_plugin.auth import permissions

    assert permissions.find_user(account(active=False)) is None
    assert permissions.find_user("nobody") is None


def test_a_user_of_the_simple_auth_manager_has_the_role_that_is_configured(
    airflow_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    from cwl_ui_plugin.auth import permissions

    monkeypatch.setattr(permissions, "get_auth_manager", SimpleAuthManager)
    assert permissions.may_trigger(permissions.find_user("user"), "any")
    assert not permissions.may_trigger(permissions.find_user("viewer"), "any")
    assert permissions.find_user("nobody") is None


def test_no_user_of_another_auth_manager_is_found(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.auth import permissions

    monkeypatch.setattr(permissions, "get_auth_manager", object)
    assert permissions.find_user("admin") is None
