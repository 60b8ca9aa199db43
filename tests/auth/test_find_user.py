"""The user that signed triggers act as is found where the auth manager keeps its users."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def fab(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """FabAuthManager decides."""
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager

    from cwl_ui_plugin.auth import permissions

    manager = FabAuthManager()
    if manager.appbuilder is None:  # an earlier one gets it from the API server
        from airflow import settings

        manager.appbuilder = SimpleNamespace(session=settings.Session())
    monkeypatch.setattr(permissions, "get_auth_manager", lambda: manager)
    return manager


@pytest.fixture
def account(fab: Any) -> Iterator[Callable[..., str]]:
    """Make an account with rights: ``account(("can_create", "DAG Runs"), active=True)`` returns its name."""
    from airflow.providers.fab.auth_manager.models import Action, Permission, Resource, Role, User
    from airflow.utils.session import create_session
    from sqlalchemy import select

    made: list[Any] = []

    def one(session: Any, kind: Any, **values: Any) -> Any:
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
                named = {"action": one(session, Action, name=action), "resource": one(session, Resource, name=resource)}
                session.flush()
                role.permissions.append(one(session, Permission, **named))
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


def test_calls_without_login_act_as_a_fab_user_while_no_key_is_set(
    account: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.models.variable import Variable

    from cwl_ui_plugin.auth.unsigned import unsigned_user
    from cwl_ui_plugin.services.errors import NotAllowed

    option = "AIRFLOW__CWL__UNSIGNED_TRIGGER_USER"
    assert unsigned_user() is None
    name = account(("can_create", "DAG Runs"), ("can_edit", "DAGs"))
    monkeypatch.setenv(option, name)
    found = unsigned_user()
    assert found is not None
    assert found.get_name() == name
    Variable.set("jwt_backend_public_key", "no key, but set")
    try:
        assert unsigned_user() is None
    finally:
        Variable.delete("jwt_backend_public_key")
    monkeypatch.setenv(option, account(active=False))
    with pytest.raises(NotAllowed, match="not active"):
        unsigned_user()


def test_no_user_of_another_auth_manager_is_found(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.auth import permissions

    monkeypatch.setattr(permissions, "get_auth_manager", object)
    assert permissions.find_user("admin") is None


def test_a_background_thread_learns_whether_somebody_may_still_see_a_workflow(account: Callable[..., str]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from cwl_ui_plugin.auth import permissions

    names = [account(("can_read", "DAGs")), account(), account(("can_read", "DAGs"), active=False), "nobody"]
    with ThreadPoolExecutor(1) as thread:
        may = list(thread.map(lambda name: permissions.may_read_by_name(name, "any"), names))
    assert may == [True, False, False, False]


def test_where_everybody_is_an_admin_nobody_has_a_name(airflow_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

    from cwl_ui_plugin.auth import permissions

    monkeypatch.setattr(permissions, "get_auth_manager", SimpleAuthManager)
    assert permissions.may_read_by_name("viewer", "any")
    assert not permissions.may_read_by_name("Anonymous", "any")
    monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS", "True")
    assert permissions.may_read_by_name("Anonymous", "any")
