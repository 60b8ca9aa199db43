"""Who calls the predecessors' API: somebody who is logged in, whoever has a key, or whom the site lets in without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import Depends, HTTPException, Request, params
from fastapi.concurrency import run_in_threadpool

from cwl_ui_plugin import config
from cwl_ui_plugin.api.hosts import is_surely_own
from cwl_ui_plugin.api.security import (
    OptionalUser,
    check_same_origin,
    known,
    logged_in,
    login_or_signature,
    own,
    require,
)
from cwl_ui_plugin.auth import jwt_backend, permissions
from cwl_ui_plugin.auth.unsigned import unsigned_user
from cwl_ui_plugin.services.errors import NotAllowed
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.signatures import VerifiedToken

UPLOADS_OPTION = "uploads_without_login"
_UNKNOWN_NAME = (
    "Nobody is logged in, and under this name calls without a login are not answered: it could be that of a page of "
    "another site. Call the server by its address, or by a name in [api] base_url or [cwl] allowed_hosts."
)


async def asking_user(request: Request, user: OptionalUser) -> BaseUser | HTTPException:
    """Return who is logged in; else whom the site lets unsigned calls act as, or the error that says there is nobody.

    A login that was sent and is not valid is no call without login. As nothing else tells a page that has a browser
    call this server by a name of its own (DNS rebinding), the name must be one that the site has set.
    """
    if not isinstance(user, HTTPException) or sent_login(request):
        return user
    unsigned = await run_in_threadpool(unsigned_user)
    host = request.headers.get("host", "")
    if unsigned is not None and host and not is_surely_own(host):
        return HTTPException(421, _UNKNOWN_NAME)
    return unsigned or user


AskingUser = Annotated[BaseUser | HTTPException, Depends(asking_user)]


async def calling_user(user: AskingUser) -> BaseUser | HTTPException:
    """Return :data:`AskingUser`; raise before the body is read where that is nobody, and no signature can help."""
    return await login_or_signature(user)


CallingUser = Annotated[BaseUser | HTTPException, Depends(calling_user)]


def reading_user(user: AskingUser) -> BaseUser:
    """Return who reads; raise 401 where there is nobody."""
    return logged_in(user)


ReadingUser = Annotated[BaseUser, Depends(reading_user)]


def allow_reading(check: Callable[[BaseUser, str], bool] = permissions.may_read) -> params.Depends:
    """Return a dependency: whoever asks must pass ``check(user, dag_id)`` for the path's dag_id."""

    def dependency(dag_id: str, user: ReadingUser) -> None:
        require(check(user, dag_id))

    return params.Depends(dependency)


def sent_login(request: Request) -> bool:
    """Whether a request brings a login, valid or not; Airflow adds one where all are administrators."""
    return "authorization" in request.headers or COOKIE_NAME_JWT_TOKEN in request.cookies


@dataclass(frozen=True)
class Caller:
    """Whom a call that changes something acts as. Without a ``user`` a valid signature is all that is known."""

    name: str
    user: BaseUser | None
    is_logged_in: bool
    token: str | None = None
    signature: VerifiedToken | None = None

    def files(self, dag_id: str) -> InputAccess:
        """Return which files the caller may use as inputs of a Dag."""
        return jwt_backend.signed_access(dag_id) if self.user is None else permissions.input_access(self.user)

    def check_trigger(self, dag_id: str) -> None:
        """Raise 403 where the caller may not start runs of a Dag; a valid signature may, whoever is logged in."""
        require(self.may_trigger(dag_id))

    def may_trigger(self, dag_id: str) -> bool:
        """Whether the caller may start runs of a Dag."""
        return self.user is None or self._is_by_key or permissions.may_trigger(self.user, dag_id)

    def check_stop(self, dag_id: str) -> bool:
        """Raise 403 where the caller may not stop runs of a Dag; return whether it may remove them, too."""
        may_stop = self.user is not None and permissions.may_stop(self.user, dag_id)
        require(self.user is None or self._is_by_key or may_stop)
        return may_stop and self.user is not None and permissions.may_remove(self.user, dag_id)

    def check_upload(self) -> BaseUser:
        """Return the user who uploads; raise :class:`NotAllowed`, or 403, where nobody is known who may."""
        if not self.is_logged_in and not config.flag(UPLOADS_OPTION):
            raise NotAllowed(
                "A call without a login may start runs of workflows that are here, and can't upload any. Log in as a "
                f"user who may, or have the administrator of this Airflow set [cwl] {UPLOADS_OPTION}."
            )
        if self.user is None:
            raise NotAllowed(
                "A signature alone may not upload workflows: have the administrator of this Airflow name a user who "
                "may in [cwl] jwt_backend_user."
            )
        require(permissions.may_upload(self.user))
        return self.user

    @property
    def _is_by_key(self) -> bool:
        """Whether a signature alone is what counts, and not the user of ``[cwl] jwt_backend_user``."""
        return self.signature is not None and (self.user is None or self.is_logged_in)


def caller_of(request: Request, user: BaseUser | HTTPException, signed: tuple[str, VerifiedToken] | None) -> Caller:
    """Return whom a call acts as; ``signed`` is its token, which was verified.

    Raises:
        HTTPException: it is not signed, and nobody is logged in; or it comes from a page of another site.
        NotAllowed: the user that signed calls act as is not there.

    """
    if signed is not None:
        named = jwt_backend.named_user()
        acting = named or known(own(request, user))
        name = jwt_backend.SIGNED if acting is None else str(acting.get_name())
        return Caller(name, acting, acting is not None and named is None, *signed)
    acting = logged_in(user)
    check_same_origin(request)
    return Caller(str(acting.get_name()), acting, sent_login(request))
