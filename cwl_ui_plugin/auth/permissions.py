"""Who may do what. Airflow's auth manager decides; this module only knows what to ask it.

Every function takes the user that Airflow made from a token. Only for the API server: elsewhere there is no
auth manager.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, cast

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import (
    ConnectionDetails,
    DagAccessEntity,
    DagDetails,
    VariableDetails,
)

from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.workflow_models import UploadRights
from cwl_ui_plugin.variables import REPORT_CONNECTION

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager, ResourceMethod
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
    from airflow.providers.fab.auth_manager.fab_auth_manager import FabAuthManager
    from airflow.providers.fab.auth_manager.models import User

WORKFLOWS = "CWL Workflows"
"""The resource that the plugin's own permissions are on: can_create, can_edit, can_delete."""
FAB_ADMIN, SIMPLE_ADMIN = "Admin", "ADMIN"


def find_user(name: str) -> BaseUser | None:
    """Return an Airflow user by name; None for one that is not there or not active.

    The simple auth manager has its users in the configuration, FAB in the database; of other auth managers no user can
    be found by name.
    """
    manager = get_auth_manager()
    if _has_own_permissions(manager):
        return _fab_user(cast("FabAuthManager", manager), name)
    if _is_a(manager, "SimpleAuthManager"):
        users = cast("SimpleAuthManager", manager).get_users()
        return next((user for user in users if user.username == name), None)
    return None


def may_read(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may see a workflow, its runs and their outputs."""
    return _dag(user, "GET", dag_id)


def may_read_by_name(name: str, dag_id: str) -> bool:
    """Whether a user of this name may see a workflow. Of auth managers that name no users, none may."""
    from airflow.configuration import conf

    everybody = conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False)
    if everybody and _is_a(get_auth_manager(), "SimpleAuthManager"):
        return True
    user = find_user(name)
    return user is not None and may_read(user, dag_id)


def may_trigger(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may start a run."""
    return _dag(user, "POST", dag_id, DagAccessEntity.RUN)


def may_schedule(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may say when a workflow starts by itself, with which job: who may edit the Dag and run it."""
    return _dag(user, "PUT", dag_id) and may_trigger(user, dag_id)


def may_change_presets(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may change and delete presets that others have shared: who may edit the Dag and run it."""
    return may_schedule(user, dag_id)


def may_read_assets(user: BaseUser) -> bool:
    """Whether the user may see which assets Airflow has."""
    return bool(get_auth_manager().is_authorized_asset(method="GET", user=user))


def may_add_inputs(user: BaseUser) -> bool:
    """Whether the user may send input files: everybody who may start runs of some Dag."""
    manager = get_auth_manager()
    if manager.is_authorized_dag(method="POST", access_entity=DagAccessEntity.RUN, user=user):
        return True
    return any(may_trigger(user, dag_id) for dag_id in sorted(readable_dag_ids(user)))


def input_access(user: BaseUser) -> InputAccess:
    """Return which files the user may use as inputs."""
    return InputAccess(str(user.get_name()), partial(may_read, user))


def may_stop(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may stop runs."""
    return _dag(user, "PUT", dag_id, DagAccessEntity.RUN)


def may_label(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may give runs of a Dag titles, tags and notes: who may start or edit them."""
    return may_trigger(user, dag_id) or may_stop(user, dag_id)


def may_continue(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may let runs go on: who may edit runs, and clear their tasks."""
    return may_stop(user, dag_id) and _dag(user, "PUT", dag_id, DagAccessEntity.TASK_INSTANCE)


def may_remove(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may delete runs."""
    return _dag(user, "DELETE", dag_id, DagAccessEntity.RUN)


def may_upload(user: BaseUser) -> bool:
    """Whether the user may add a workflow: code that workers will run."""
    return _workflows(user, "POST")


def may_replace(user: BaseUser, dag_id: str | None = None) -> bool:
    """Whether the user may choose what runs of a workflow execute: upload a version, or make another the current one.

    Without a dag_id: of some workflow, perhaps.
    """
    return _workflows(user, "PUT") and (dag_id is None or _dag(user, "PUT", dag_id))


def may_restore(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may bring a deleted workflow back."""
    return may_upload(user) and _dag(user, "PUT", dag_id)


def may_delete(user: BaseUser, dag_id: str) -> bool:
    """Whether the user may delete a workflow."""
    return _workflows(user, "DELETE") and _dag(user, "DELETE", dag_id)


def upload_rights(user: BaseUser) -> UploadRights:
    """Return what the user may do with a Dag whose name an upload takes."""
    return UploadRights(partial(may_read, user), partial(_dag, user, "PUT"))


def may_read_connection(user: BaseUser) -> bool:
    """Whether the user may see where reports go to."""
    return _connection(user, "GET", REPORT_CONNECTION)


def may_monitor(user: BaseUser) -> bool:
    """Whether the user may see how the plugin does on its machines: who may see where reports go to."""
    return may_read_connection(user)


def may_edit_connection(user: BaseUser) -> bool:
    """Whether the user may change where reports go to."""
    return _connection(user, "PUT", REPORT_CONNECTION)


def may_test_connection(user: BaseUser) -> bool:
    """Whether the user may have the server call the receiver: who could test that connection in Airflow."""
    return may_edit_connection(user) and _connection(user, "POST", REPORT_CONNECTION)


def is_admin(user: BaseUser) -> bool:
    """Whether the user has the role that may do everything: Admin. No such role is known of other auth managers."""
    manager = get_auth_manager()
    if _has_own_permissions(manager):
        return any(role.name == FAB_ADMIN for role in cast("User", user).roles)
    return (
        _is_a(manager, "SimpleAuthManager")
        and str(cast("SimpleAuthManagerUser", user).role or "").upper() == SIMPLE_ADMIN
    )


def may_read_variable(user: BaseUser, key: str) -> bool:
    """Whether the user may see a Variable."""
    return _variable(user, "GET", key)


def may_edit_variable(user: BaseUser, key: str) -> bool:
    """Whether the user may change a Variable."""
    return _variable(user, "PUT", key)


def restorable_dag_ids(user: BaseUser) -> set[str]:
    """Return the dag_ids of all Dags that the user may bring back; see :func:`may_restore`."""
    return _dag_ids(user, "PUT") if may_upload(user) else set()


def deletable_dag_ids(user: BaseUser) -> set[str]:
    """Return the dag_ids of all Dags that the user may delete; see :func:`may_delete`."""
    return _dag_ids(user, "DELETE") if _workflows(user, "DELETE") else set()


def readable_dag_ids(user: BaseUser) -> set[str]:
    """Return the dag_ids of all Dags that the user may see."""
    return _dag_ids(user, "GET")


def _dag_ids(user: BaseUser, method: ResourceMethod) -> set[str]:
    return set(get_auth_manager().get_authorized_dag_ids(user=user, method=method))


def _dag(user: BaseUser, method: ResourceMethod, dag_id: str, entity: DagAccessEntity | None = None) -> bool:
    from airflow.models.dag import DagModel

    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    return bool(
        get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user),
    )


def _connection(user: BaseUser, method: ResourceMethod, conn_id: str | None = None) -> bool:
    return bool(
        get_auth_manager().is_authorized_connection(
            method=method, details=ConnectionDetails(conn_id=conn_id), user=user
        )
    )


def _variable(user: BaseUser, method: ResourceMethod, key: str) -> bool:
    return bool(get_auth_manager().is_authorized_variable(method=method, details=VariableDetails(key=key), user=user))


def _workflows(user: BaseUser, method: ResourceMethod) -> bool:
    """Ask for the plugin's own permission; where there can be none, whoever may create connections may do it."""
    manager = get_auth_manager()
    if _has_own_permissions(manager):
        return bool(manager.is_authorized_custom_view(method=method, resource_name=WORKFLOWS, user=user))
    return _connection(user, "POST")


def _has_own_permissions(manager: BaseAuthManager[BaseUser]) -> bool:
    """Whether the auth manager keeps permissions of plugins: FAB does; the simple one says yes to every viewer."""
    return _is_a(manager, "FabAuthManager")


def _is_a(manager: BaseAuthManager[BaseUser], kind: str) -> bool:
    return any(base.__name__ == kind for base in type(manager).__mro__)


def _fab_user(manager: FabAuthManager, name: str) -> BaseUser | None:
    """Return the user as Airflow does for a token: it looks whether the account is active, and loads its roles."""
    from airflow.providers.fab.auth_manager.models import User
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        user_id = session.scalar(select(User.id).where(User.username == name, User.active.is_(True)))
    try:
        return manager.deserialize_user({"sub": str(user_id)}) if user_id is not None else None
    except ValueError:
        return None
