"""The JWT auth backend of signed triggers, as a module for ``[fab] auth_backends`` and as functions for our endpoints.

Airflow 3 asks such a module about none of its own routes, so it protects the routes that use it: the endpoint of the
predecessors and the REST API call :func:`verify_body`; a Flask view may use :func:`requires_authentication`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple

from cwl_ui_plugin import config
from cwl_ui_plugin.services.errors import NotAllowed
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.signatures import VerifiedToken, reason, trigger_policy, verify
from cwl_ui_plugin.signing.errors import BadSignature, SigningError

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
    from flask import Flask

CLIENT_AUTH: tuple[str, str] | None = None
SIGNATURES = ("check_payload", "token")
SIGNED = "signed trigger"
"""The name of whoever triggers with a signature, where no user is named and nobody is logged in."""


@dataclass(frozen=True)
class VerifiedTrigger:
    """A trigger whose signature holds; ``token`` is kept with the run, so that its first task can verify it again."""

    run_id: str
    conf: Any
    token: str
    signature: VerifiedToken


def init_app(_app: Flask) -> None:
    """Do nothing: what is protected says so itself."""


def sent_signature(body: Mapping[str, Any]) -> Any:
    """Return the signature in a body, under its name or the old one, or None."""
    return next((body[name] for name in SIGNATURES if body.get(name)), None)


def verify_body(body: Mapping[str, Any], dag_id: str | None = None) -> VerifiedTrigger | None:
    """Verify ``{"run_id", "conf", "check_payload" or "token"}``; return None where no key is set.

    A token that is for one Dag holds for ``dag_id`` only.

    Raises:
        SigningError: there is a key, and the signature is missing, wrong, or of something else.

    """
    policy = trigger_policy()
    if policy is None:
        return None
    token = sent_signature(body)
    if token is None:
        raise BadSignature("The trigger has no signature: sign {run_id, conf} and send the token as check_payload.")
    run_id, conf = body.get("run_id"), body.get("conf")
    if not isinstance(run_id, str) or not run_id:
        raise BadSignature("The trigger has no run_id.")
    signature = verify(token, policy, dag_id=dag_id, run_id=run_id, conf=conf)
    return VerifiedTrigger(run_id=run_id, conf=conf, token=token, signature=signature)


class Actor(NamedTuple):
    """Whom a signed trigger acts as, and which files it may use as inputs."""

    name: str
    files: InputAccess


def acting_user(dag_id: str, caller: BaseUser | None) -> Actor:
    """Return whom a signed trigger acts as; ``caller`` is the user who is logged in, if anybody is.

    Without a user it may use what is shared, and the outputs of the Dag that it triggers; no uploads, as nobody can
    tell the owners of signing keys from each other.

    Raises:
        NotAllowed: the user of ``[cwl] jwt_backend_user`` is not there, or may not trigger that Dag.

    """
    from cwl_ui_plugin.auth import permissions

    name = config.text("jwt_backend_user").strip()
    if not name:
        if caller is None:
            return Actor(SIGNED, InputAccess(None, lambda other: other == dag_id))
        return Actor(str(caller.get_name()), permissions.input_access(caller))
    user = permissions.find_user(name)
    if user is None:
        raise NotAllowed(
            f"The signature holds, but the user {name!r} that signed triggers act as ([cwl] jwt_backend_user) does not "
            "exist or is not active; tell the administrator of this Airflow."
        )
    if not permissions.may_trigger(user, dag_id):
        raise NotAllowed(
            f"The signature holds, but the user {name!r} that signed triggers act as ([cwl] jwt_backend_user) may not "
            f"trigger {dag_id!r}."
        )
    return Actor(name, permissions.input_access(user))


def requires_authentication(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a Flask view be called only with a signed body, where a key is set; its ``dag_id`` may be signed, too."""

    @wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        from flask import Response, request

        body = request.get_json(silent=True)
        try:
            verify_body(body if isinstance(body, dict) else {}, kwargs.get("dag_id"))
        except SigningError as error:
            return Response(refusal(error), status=403, mimetype="application/json")
        return function(*args, **kwargs)

    return decorated


def refusal(error: SigningError) -> str:
    """Return the answer to a trigger that is refused."""
    return json.dumps({"detail": reason(error), "problems": []})
