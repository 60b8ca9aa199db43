"""The grant of a run: what the service that created it allows it, signed with a key that only API servers have.

A worker has no database and knows no users. So the service writes into the conf, under :data:`GRANT`, a JWT that names
the Dag, the run, the digest of the rest of the conf, the folders of files that are not everybody's, when the run was
triggered (the caller does not choose that), and whose signature the conf has. Each task verifies it.

Its public keys are files in ``<workflows_folder>/grants``, which API servers write. Whoever can write to that folder
can have workers run any code anyway; a Variable would be open to whoever may edit Variables, and to each task.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

import jwt

from cwl_ui_plugin import atomic, config
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.dags.conf import GRANT
from cwl_ui_plugin.signing import tokens
from cwl_ui_plugin.signing.contents import digest
from cwl_ui_plugin.signing.errors import SigningError

ALGORITHM = "EdDSA"
_MAX_KEY = 4096
_KEY_ID = re.compile(r"[0-9a-f]{64}")
_START_AGAIN = "Start the run again on its page, or with the command or the API of cwl-ui-plugin."


@dataclass(frozen=True)
class Continued:
    """The run of the same workflow that a run goes on from: what is certainly the same is taken over from it.

    Of the tasks ``gone`` the files were removed since nothing reads them any more; what these tasks have made may be
    handed on nevertheless.
    """

    run_id: str
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grant:
    """What a run may do. ``at``: when it was triggered, seconds since 1970; ``signed_by``: the caller's key, if any."""

    user: str
    roots: tuple[Path, ...]
    at: float
    signed_by: str | None = None
    continued: Continued | None = None

    def claims(self, dag_id: str, run_id: str, conf: Mapping[str, object]) -> dict[str, object]:
        """Return what is signed to grant this to a run."""
        return {
            "dag_id": dag_id,
            "run_id": run_id,
            "conf": conf_digest(conf),
            "user": self.user,
            "roots": [str(root) for root in self.roots],
            "at": self.at,
            "signed_by": self.signed_by,
            **({"continued": asdict(self.continued)} if self.continued else {}),
        }


def conf_digest(conf: Mapping[str, object]) -> str:
    """Return the digest of a conf, whether the grant is in it or not."""
    return digest({name: value for name, value in conf.items() if name != GRANT})


def keys_folder() -> Path:
    """Where the public keys of grants are."""
    return config.workflows_folder() / "grants"


def key_file(name: str) -> Path:
    """Return the file of a public key."""
    return keys_folder() / f"{name}.pem"


def key_named_in(conf: object) -> str | None:
    """Return the name of the key that the grant in a conf says it is signed with; nothing in it is verified."""
    token = conf.get(GRANT) if isinstance(conf, Mapping) else None
    try:
        name = jwt.get_unverified_header(token).get("kid") if token else None
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
    return name if is_key_id(name) else None


def is_key_id(name: object) -> TypeGuard[str]:
    """Whether this can name a key."""
    return isinstance(name, str) and _KEY_ID.fullmatch(name) is not None


def keep_key(name: str, public_key: str) -> None:
    """Keep a key that another machine has; raise :class:`ValueError` if it is not the one of this name."""
    if not is_key_id(name) or len(public_key) > _MAX_KEY or not public_key.isascii() or key_id(public_key) != name:
        raise ValueError(f"it is not the key {name[:64]!r}")
    keys_folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    atomic.write_text(key_file(name), public_key)


def kept_key(name: str) -> str | None:
    """Return a key by its name; None where it is not there."""
    try:
        key = _read_or_fetched(name) if is_key_id(name) else None
    except (OSError, UnicodeDecodeError):
        return None
    return key if key and key_id(key) == name else None


def key_id(public_key: str) -> str:
    """Return what names a public key: its digest."""
    return hashlib.sha256(public_key.encode("ascii")).hexdigest()


def read_grant(conf: Mapping[str, object], *, dag_id: str, run_id: str) -> Grant | None:
    """Return the grant in a conf, or None where there is none.

    Raises:
        JobError: it is of another run, of another conf, or not signed by an API server of this Airflow.

    """
    token = conf.get(GRANT)
    if token is None:
        return None
    try:
        claims: Mapping[str, Any] = tokens.verify(token, public_key(token), [ALGORITHM])
        expected = {"dag_id": dag_id, "run_id": run_id, "conf": conf_digest(conf)}
    except SigningError as error:
        raise _refused(str(error)) from error
    for name, value in expected.items():
        if claims.get(name) != value:
            raise _refused(f"It is for another {name}.")
    return Grant(
        user=str(claims["user"]),
        roots=tuple(Path(root) for root in claims["roots"]),
        at=float(claims["at"]),
        signed_by=claims["signed_by"],
        continued=_continued(claims),
    )


def continued_in(conf: object) -> str | None:
    """Return the run that a run says it goes on from, for display: the grant in its conf is not verified."""
    token = conf.get(GRANT) if isinstance(conf, Mapping) else None
    if not isinstance(token, str):
        return None
    try:
        found = _continued(jwt.decode(token, options={"verify_signature": False}))
    except (jwt.PyJWTError, LookupError, TypeError, ValueError, AttributeError):
        return None
    return found.run_id if found else None


def _continued(claims: Mapping[str, Any]) -> Continued | None:
    found = claims.get("continued")
    return Continued(str(found["run_id"]), tuple(map(str, found["gone"]))) if found else None


def _refused(reason: str) -> JobError:
    return JobError(f"The grant in this run's conf ({GRANT}) does not hold: {reason} {_START_AGAIN}")


def public_key(token: Any) -> str:
    """Return the public key that a token names; the folder is the only place where keys come from."""
    try:
        name = jwt.get_unverified_header(token).get("kid")
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        raise _refused("It is no token.") from None
    if not is_key_id(name):
        raise _refused("It names no key.")
    path = key_file(name)
    try:
        key = _read_or_fetched(name)
    except (OSError, UnicodeDecodeError) as error:
        raise _refused(
            f"Its key {path} can't be read ({getattr(error, 'strerror', None) or error}): API servers and workers must "
            "see the same [cwl] workflows_folder."
        ) from error
    if key_id(key) != name:
        raise _refused(f"Its key {path} was changed.")
    return key


def _read_or_fetched(name: str) -> str:
    """Return what the file of a key has; where machines share no folder, it is fetched first if it is not there."""
    path = key_file(name)
    if config.workflows_storage() and not path.exists():
        from cwl_ui_plugin.library.errors import StoreAway
        from cwl_ui_plugin.library.site_store import site_store

        with suppress(StoreAway, ValueError):
            if (key := site_store().grant_key(name)) is not None:
                keep_key(name, key.decode("ascii", "replace"))
    return _read(path)


def _read(path: Path) -> str:
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        return file.read(_MAX_KEY).decode("ascii")
