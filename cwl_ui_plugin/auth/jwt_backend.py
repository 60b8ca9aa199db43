"""The JWT auth backend of signed triggers, as a module for ``[fab] auth_backends`` and as functions for our endpoint.

Airflow 3 asks such a module about none of its own routes, so it protects the routes that use it: the endpoint of the
predecessors calls :func:`verify_body`; a Flask view may use :func:`requires_authentication`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any

from cwl_ui_plugin import config
from cwl_ui_plugin.signing.algorithms import parse_algorithms
from cwl_ui_plugin.signing.errors import BadKey, BadSignature, SigningError
from cwl_ui_plugin.signing.triggers import TriggerPolicy, verify_trigger

if TYPE_CHECKING:
    from flask import Flask

CLIENT_AUTH: tuple[str, str] | None = None
PUBLIC_KEY = "jwt_backend_public_key"
ALGORITHMS = ("jwt_backend_crypt_algorithm", "jwt_backend_algorithm")
SIGNATURES = ("check_payload", "token")
REFUSED = "Failed to verify data"


@dataclass(frozen=True)
class VerifiedTrigger:
    """A trigger whose signature holds; ``token`` is kept with the run, so that its first task can verify it again."""

    run_id: str
    conf: Any
    token: str


def init_app(_app: Flask) -> None:
    """Do nothing: what is protected says so itself."""


def trigger_policy() -> TriggerPolicy | None:
    """Return how triggers must be signed, or None where no key is set.

    Raises:
        BadAlgorithm: the Variable with the algorithms can't be used.

    """
    from airflow.models.variable import Variable

    keys = Variable.get(PUBLIC_KEY, default_var=None)
    if not keys:
        return None
    named = (Variable.get(name, default_var=None) for name in ALGORITHMS)
    algorithms = parse_algorithms(next((text for text in named if text), None))
    return TriggerPolicy(keys, algorithms, config.flag("allow_weak_keys"), config.flag("require_exp"))


def verify_body(body: Mapping[str, Any]) -> VerifiedTrigger | None:
    """Verify ``{"run_id", "conf", "check_payload" or "token"}``; return None where no key is set.

    Raises:
        SigningError: there is a key, and the signature is missing, wrong, or of something else.

    """
    policy = trigger_policy()
    if policy is None:
        return None
    token = next((body[name] for name in SIGNATURES if body.get(name)), None)
    if token is None:
        raise BadSignature("The trigger has no signature: sign {run_id, conf} and send the token as check_payload.")
    run_id, conf = body.get("run_id"), body.get("conf")
    if not isinstance(run_id, str):
        raise BadSignature("The trigger has no run_id.")
    verify_trigger(token, policy, run_id=run_id, conf=conf)
    return VerifiedTrigger(run_id=run_id, conf=conf, token=token)


def requires_authentication(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a Flask view be called only with a signed body, where a key is set."""

    @wraps(function)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        from flask import Response, request

        body = request.get_json(silent=True)
        try:
            verify_body(body if isinstance(body, dict) else {})
        except SigningError as error:
            return Response(refusal(error), status=403, mimetype="application/json")
        return function(*args, **kwargs)

    return decorated


def refusal(error: SigningError) -> str:
    """Return the answer to a trigger that is refused; what is wrong with the server's key is not for the caller."""
    reason = "the server's key can't be used; tell its administrator" if isinstance(error, BadKey) else str(error)
    return json.dumps({"detail": f"{REFUSED}: {reason}", "problems": []})
