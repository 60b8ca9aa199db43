"""Signing on the page that starts a run: what a user may choose from, and what was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.conf import SIGNATURE
from cwl_ui_plugin.services import signatures
from cwl_ui_plugin.services.errors import BadRequest, Unavailable
from cwl_ui_plugin.services.settings import connection_and_keys
from cwl_ui_plugin.services.settings_models import KeySetting
from cwl_ui_plugin.signing import keys
from cwl_ui_plugin.signing.errors import SigningError

UNSIGNED, BY_SERVER, BY_FILE = "none", "server", "file"
FIELD = "sign_with"
NOT_SIGNED = (
    "The page did not sign this run: choose the file with your private key, or another way to sign. Signing with a "
    "file needs JavaScript."
)


@dataclass(frozen=True)
class SigningChoice:
    """How a run can be signed here; ``trusted`` are the fingerprints of the keys whose signatures hold."""

    chosen: str
    is_required: bool
    server_key: KeySetting | None
    algorithms: tuple[str, ...]
    trusted: tuple[str, ...]
    lifetime: int | None
    problem: str | None = None

    @property
    def is_offered(self) -> bool:
        """Whether there is anything to choose: somebody verifies, or the server can sign."""
        return self.is_required or bool(self.trusted or self.server_key or self.problem)


def signing_choice(chosen: str | None = None) -> SigningChoice:
    """Return what the page offers."""
    found = connection_and_keys.signing_key()
    server_key = found if found.is_set and not found.problem else None
    is_required = config.flag("require_signed_conf")
    algorithms, trusted, problem = _policy(is_required)
    default = BY_SERVER if server_key else BY_FILE if is_required else UNSIGNED
    return SigningChoice(
        chosen=chosen if chosen in (UNSIGNED, BY_SERVER, BY_FILE) else default,
        is_required=is_required,
        server_key=server_key,
        algorithms=algorithms,
        trusted=trusted,
        lifetime=signatures.LIFETIME_SECONDS if config.flag("require_exp") else None,
        problem=problem,
    )


def signed_conf(
    conf: Mapping[str, object], *, dag_id: str, run_id: str, sign_with: str | None, token: str | None
) -> dict[str, object]:
    """Return the conf of a run with its signature: the server's, or the one that the browser made.

    Raises:
        BadRequest: it was to be signed and is not, or the server's key can't sign.

    """
    if sign_with == BY_SERVER:
        return {**conf, SIGNATURE: signatures.sign_conf(dag_id, run_id, conf)}
    if token:
        return {**conf, SIGNATURE: token}
    if sign_with == BY_FILE:
        raise BadRequest(NOT_SIGNED)
    return dict(conf)


def _policy(is_required: bool) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    """Return the algorithms, the fingerprints of the trusted keys, and why nothing can be verified."""
    try:
        policy = signatures.trigger_policy()
        if policy is None:
            problem = (
                "Only signed runs are allowed here, but no key is set to verify them with." if is_required else None
            )
            return (), (), problem
        named = keys.fingerprints(policy.keys) if keys.is_pem(policy.keys) else [keys.SHARED_SECRET]
        return policy.algorithms, tuple(named), None
    except (SigningError, Unavailable) as error:
        return (), (), f"Signatures can't be verified here: {error}"
