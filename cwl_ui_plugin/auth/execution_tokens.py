"""Execution tokens: what Airflow gives a worker for one task, checked as Airflow's own API for tasks checks it.

The token names a task instance and nothing else; what that may do is for who asks to look up.
"""

from __future__ import annotations

import logging
import time
import uuid
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.tokens import JWTGenerator, JWTValidator

log = logging.getLogger(__name__)
REFRESHED = "Refreshed-API-Token"
"""The header of an answer in which a token is that takes the place of the caller's, as Airflow names it."""
_EXECUTION = "execution"
"""The scope of tokens of tasks that run; those for what waits in a queue have another, and are not accepted."""
_REFRESHED_PART, _REFRESHED_SECONDS = 0.2, 30


class BadToken(Exception):
    """It is no valid execution token; nothing more is told about it."""


class NoKeys(Exception):
    """No token can be checked now: this server could not load the keys that Airflow signs them with."""


@dataclass(frozen=True)
class ExecutionToken:
    """A valid token: ``instance`` is the id of its task instance."""

    instance: str
    claims: dict[str, Any]

    @property
    def ends_soon(self) -> bool:
        """Whether Airflow would give another one for it by now."""
        ends, began = int(self.claims.get("exp", 0)), int(self.claims.get("iat", 0))
        return ends - int(time.time()) <= max(int((ends - began) * _REFRESHED_PART), _REFRESHED_SECONDS)

    def refreshed(self) -> str:
        """Return a token that is the same, and valid for longer."""
        made: str = _generator().generate(dict(self.claims))
        return made


async def check(text: str) -> ExecutionToken:
    """Return what a token says.

    Raises:
        BadToken: Airflow's API for tasks would not take it.
        NoKeys: that can't be told now.

    """
    try:
        validator = _validator()
    except Exception as error:  # of the configuration, of a file with a key
        log.exception("Execution tokens can't be checked")
        raise NoKeys from error
    try:
        claims = await validator.avalidated_claims(text, {})
        instance = str(uuid.UUID(str(claims["sub"])))
    except Exception as error:  # of PyJWT, of a claim
        if not _has_keys(validator):
            raise NoKeys from error
        log.debug("An execution token is refused", exc_info=True)
        raise BadToken from error
    if claims.get("scope", _EXECUTION) != _EXECUTION:
        raise BadToken
    return ExecutionToken(instance, claims)


def _has_keys(validator: JWTValidator) -> bool:
    """Whether a validator has keys to check by; those of ``[api_auth] trusted_jwks_url`` may not be fetched yet."""
    keys: Any = validator.jwks
    try:
        if keys is not None:
            keys.status()
    except RuntimeError:
        return False
    return True


@cache
def _validator() -> JWTValidator:
    from airflow.api_fastapi.auth.tokens import JWTValidator, get_sig_validation_args
    from airflow.configuration import conf

    issuer = conf.get("api_auth", "jwt_issuer", fallback=None)
    required = ["aud", "exp", "iat", "sub", *(["iss"] if issuer else [])]
    return JWTValidator(
        required_claims=frozenset(required),
        issuer=issuer or None,
        audience=_audiences(),
        **get_sig_validation_args(make_secret_key_if_needed=False),
    )


@cache
def _generator() -> JWTGenerator:
    from airflow.api_fastapi.auth.tokens import JWTGenerator, get_signing_args
    from airflow.configuration import conf

    return JWTGenerator(
        valid_for=conf.getint("execution_api", "jwt_expiration_time"),
        audience=_audiences()[0],
        issuer=conf.get("api_auth", "jwt_issuer", fallback=None),
        **get_signing_args(make_secret_key_if_needed=False),
    )


def _audiences() -> list[str]:
    from airflow.configuration import conf

    return conf.get_mandatory_list_value("execution_api", "jwt_audience")
