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
from cwl_ui_plugin.services.errors import NotAllowed, Unavailable
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.signatures import VerifiedToken, is_key_set, reason, trigger_policy, verify, verify_call
from cwl_ui_plugin.signing.errors import BadSignature, SigningError
from cwl_ui_plugin.signing.triggers import TriggerPolicy

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
    conf: object
    token: str
    signature: VerifiedToken


def init_app(_app: Flask) -> None:
    """Do nothing: what is protected says so itself."""


def sent_signature(body: Mapping[str, object]) -> Any:
    """Return the signature in a body, under its name or the old one, or None."""
    return next((body[name] for name in SIGNATURES if body.get(name)), None)


def takes_signatures() -> bool:
    """Whether a signature may stand for a login: a key is set, be it one that can't be used.

    Raises:
        Unavailable: it can't be read whether there is one.

    """
    return is_key_set()


def verify_body(body: Mapping[str, object], dag_id: str | None = None) -> VerifiedTrigger | None:
    """Verify ``{"run_id", "conf", "check_payload" or "token"}``; return None where no key is set.

    A token that is for one Dag holds for ``dag_id`` only.

    Raises:
        SigningError: there is a key, and the signature is missing, wrong, or of something else.
        Unavailable: it can't be read whether there is a key.

    """
    found = _policy_and_signature(body, "The trigger", "run_id, conf")
    if found is None:
        return None
    policy, token = found
    run_id, conf = body.get("run_id"), body.get("conf")
    if not isinstance(run_id, str) or not run_id:
        raise BadSignature("The trigger has no run_id.")
    signature = verify(token, policy, dag_id=dag_id, run_id=run_id, conf=conf)
    return VerifiedTrigger(run_id=run_id, conf=conf, token=token, signature=signature)


def verify_fields(body: Mapping[str, object], fields: Mapping[str, object]) -> tuple[str, VerifiedToken] | None:
    """Verify that the signature in a body is of exactly these fields, and return both; None where no key is set.

    Raises:
        SigningError: there is a key, and the signature is missing, wrong, or of something else.
        Unavailable: it can't be read whether there is a key.

    """
    found = _policy_and_signature(body, "The call", ", ".join([*fields, "exp"]))
    if found is None:
        return None
    policy, token = found
    return str(token), verify_call(token, policy, fields)


def _policy_and_signature(body: Mapping[str, object], what: str, names: str) -> tuple[TriggerPolicy, Any] | None:
    """Return how a body must be signed and its signature; None where no key is set.

    Raises:
        SigningError: there is a key, and ``what``, with the fields ``names``, is not signed.
        Unavailable: it can't be read whether there is a key.

    """
    policy = trigger_policy()
    if policy is None:
        return None
    token = sent_signature(body)
    if token is None:
        raise BadSignature(f"{what} has no signature: sign {{{names}}} and send the token as check_payload.")
    return policy, token


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

    user = named_user()
    if user is None:
        if caller is None:
            return Actor(SIGNED, signed_access(dag_id))
        return Actor(str(caller.get_name()), permissions.input_access(caller))
    name = _user_name()
    if not permissions.may_trigger(user, dag_id):
        raise NotAllowed(
            f"The signature holds, but the user {name!r} that signed triggers act as ([cwl] jwt_backend_user) may not "
            f"trigger {dag_id!r}."
        )
    return Actor(name, permissions.input_access(user))


def named_user() -> BaseUser | None:
    """Return the user of ``[cwl] jwt_backend_user``, None where that is empty; raise :class:`NotAllowed`."""
    from cwl_ui_plugin.auth import permissions

    name = _user_name()
    user = permissions.find_user(name) if name else None
    if name and user is None:
        raise NotAllowed(
            f"The signature holds, but the user {name!r} that signed triggers act as ([cwl] jwt_backend_user) does not "
            "exist or is not active; tell the administrator of this Airflow."
        )
    return user


def signed_access(dag_id: str) -> InputAccess:
    """Return which files a run may use that is started by a signature alone."""
    return InputAccess(None, lambda other: other == dag_id)


def _user_name() -> str:
    return config.text("jwt_backend_user").strip()


def requires_authentication(function: Callable[..., object]) -> Callable[..., Any]:
    """Let a Flask view be called only with a signed body, where a key is set; its ``dag_id`` may be signed, too."""

    @wraps(function)
    def decorated(*args: object, **kwargs: Any) -> object:
        from flask import Response, request

        body = request.get_json(silent=True)
        try:
            verify_body(body if isinstance(body, dict) else {}, kwargs.get("dag_id"))
        except SigningError as error:
            return Response(refusal(error), status=403, mimetype="application/json")
        except Unavailable as error:
            return Response(_answer(error.message), status=error.status, mimetype="application/json")
        return function(*args, **kwargs)

    return decorated


def refusal(error: SigningError) -> str:
    """Return the answer to a trigger that is refused."""
    return _answer(reason(error))


def _answer(detail: str) -> str:
    return json.dumps({"detail": detail, "problems": []})
