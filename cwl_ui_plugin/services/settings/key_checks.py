"""Which keys belong together: what a key is, and where its other half is set. Nothing of it is kept."""

from __future__ import annotations

from dataclasses import dataclass

from cwl_ui_plugin import variables
from cwl_ui_plugin.services.errors import BadRequest, Unavailable
from cwl_ui_plugin.services.settings import connection_and_keys
from cwl_ui_plugin.signing import keys
from cwl_ui_plugin.signing.errors import SigningError

USES = {
    variables.REPORT_KEY: "the key that signs reports",
    variables.TRIGGER_KEY: "the keys that verify triggers",
    variables.SIGNING_KEY: "the key that signs triggers",
}


@dataclass(frozen=True)
class KeyCheck:
    """What is known of a key: ``kind`` is private or public; ``matches`` are the Variables with a key of its pair.

    ``pair`` tells whether the other key that was given is of the same pair, None where none was.
    """

    kind: str
    fingerprint: str
    pair: bool | None
    matches: tuple[str, ...]

    @property
    def uses(self) -> tuple[str, ...]:
        """The Variables in words."""
        return tuple(USES[name] for name in self.matches)


def check_key(key: str, other: str = "", *, visible: tuple[str, ...] = tuple(USES)) -> KeyCheck:
    """Compare a key with another one, and with those that are set; ``visible`` are the Variables that may be told of.

    Raises:
        BadRequest: one of the two can't be read.

    """
    own = _fingerprints(key, "The key")
    pair = bool(set(own) & set(_fingerprints(other, "The other key"))) if other.strip() else None
    matches = tuple(name for name in USES if name in visible and set(own) & set(_set_fingerprints(name)))
    return KeyCheck("private" if "PRIVATE KEY" in key else "public", own[0], pair, matches)


def _fingerprints(text: str, name: str) -> list[str]:
    if not keys.is_pem(text):
        raise BadRequest(f"{name} is no PEM text: paste all of it, from -----BEGIN to -----END.")
    try:
        return keys.fingerprints(text)
    except SigningError as error:
        raise BadRequest(f"{name}: {error}") from error


def _set_fingerprints(name: str) -> list[str]:
    try:
        text = connection_and_keys.variable(name)
        return keys.fingerprints(text) if keys.is_pem(text) else []
    except (SigningError, Unavailable):
        return []
