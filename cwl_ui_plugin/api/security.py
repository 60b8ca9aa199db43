"""Who is asking, whether from this site, and whether they may: dependencies of the routes.

Airflow's ``GetUserDep`` takes a bearer token or the session's cookie.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import GetUserDep, bearer_scheme, get_user
from fastapi import Depends, HTTPException, Request, params
from fastapi.concurrency import run_in_threadpool
from fastapi.security import HTTPAuthorizationCredentials

from cwl_ui_plugin.auth import jwt_backend

__all__ = ["GetUserDep", "OptionalUser", "allow", "allow_dag", "check_same_origin", "require", "same_origin"]

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
DENIED = "You do not have the permission for this. An administrator of this Airflow can grant it."
FOREIGN = "This call comes from another site. Call it from Airflow's own pages, or with a bearer token."


def require(allowed: bool) -> None:
    """Raise 403 if something is not allowed."""
    if not allowed:
        raise HTTPException(403, DENIED)


def allow(check: Callable[[BaseUser], bool]) -> params.Depends:
    """Return a dependency: the user must pass ``check(user)``."""

    def dependency(user: GetUserDep) -> None:
        require(check(user))

    return params.Depends(dependency)


def allow_dag(check: Callable[[BaseUser, str], bool]) -> params.Depends:
    """Return a dependency: the user must pass ``check(user, dag_id)`` for the path's dag_id."""

    def dependency(dag_id: str, user: GetUserDep) -> None:
        require(check(user, dag_id))

    return params.Depends(dependency)


def check_same_origin(request: Request) -> None:
    """Refuse unsafe calls that a page of another site has a browser make, with the user's cookie."""
    if request.method not in SAFE_METHODS and not _has_own_token(request) and not _is_same_origin(request):
        raise HTTPException(403, FOREIGN)


same_origin = Depends(check_same_origin)


async def optional_user(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer_scheme)]
) -> BaseUser | HTTPException:
    """Return the user, or the HTTPException that says why there is none."""
    try:
        return await get_user(request, None, credentials)
    except HTTPException as error:
        return error


def check_address(request: Request) -> None:
    """Refuse null characters, which no database takes: nothing has such a name."""
    if "\0" in request.scope["path"]:
        raise HTTPException(404, "Nothing has a null character in its name.")
    if any("\0" in value for value in request.query_params.values()):
        raise HTTPException(400, "A null character is not valid here.")


clean_address = Depends(check_address)


OptionalUser = Annotated[BaseUser | HTTPException, Depends(optional_user)]


async def login_or_signature(user: OptionalUser) -> BaseUser | HTTPException:
    """Return an :data:`OptionalUser`; raise what says why there is none where no signature can make up for that.

    A signature is in the body; a route that asks for this before reads no body of whoever is refused anyway.
    """
    if isinstance(user, HTTPException) and not await run_in_threadpool(jwt_backend.takes_signatures):
        raise user
    return user


CallingUser = Annotated[BaseUser | HTTPException, Depends(login_or_signature)]


def known(user: BaseUser | HTTPException) -> BaseUser | None:
    """Return an :data:`OptionalUser`, or None where nobody is logged in."""
    return None if isinstance(user, HTTPException) else user


def own(request: Request, user: BaseUser | HTTPException) -> BaseUser | HTTPException:
    """Return an :data:`OptionalUser`, or an error where it is a page of another site that has the browser call.

    A signature is no sign that whoever is logged in has made the call.
    """
    try:
        check_same_origin(request)
    except HTTPException as error:
        return error
    return user


def name_of(user: BaseUser | HTTPException) -> str | None:
    """Return the name of an :data:`OptionalUser`, or None where nobody is logged in."""
    return None if isinstance(user, HTTPException) else str(user.get_name())


def logged_in(user: BaseUser | HTTPException) -> BaseUser:
    """Return an :data:`OptionalUser` that must be there; raise what says why there is none."""
    if isinstance(user, HTTPException):
        raise user
    return user


def _has_own_token(request: Request) -> bool:
    """Whether the caller brought a bearer token. In "all admins" mode Airflow adds one to every call."""
    from airflow.configuration import conf

    if conf.getboolean("core", "simple_auth_manager_all_admins", fallback=False):
        return False
    return request.headers.get("authorization", "").lower().startswith("bearer ")


def _is_same_origin(request: Request) -> bool:
    """Decide as browsers tell it; a caller that tells neither is no browser."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc in _own_hosts(request)


def _own_hosts(request: Request) -> set[str]:
    from airflow.configuration import conf

    return {request.headers.get("host", ""), urlsplit(conf.get("api", "base_url", fallback="")).netloc} - {""}
