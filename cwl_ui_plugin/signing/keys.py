"""Keys: reading them from PEM texts, making pairs, telling them apart by fingerprint."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeGuard

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from cwl_ui_plugin.signing.algorithms import EDWARDS, ELLIPTIC, HMAC, RSA
from cwl_ui_plugin.signing.errors import BadAlgorithm, BadKey, WeakKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
SMALLEST_RSA = 2048
NEW_RSA = 3072
SMALLEST_SECRET = 16
SHARED_SECRET = "shared secret"  # noqa: S105 - what is shown instead of a fingerprint
_CURVES: dict[str, type[ec.EllipticCurve]] = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
_PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_HINT = "paste the whole PEM text, from -----BEGIN to -----END."


@dataclass(frozen=True)
class KeyPair:
    """Two PEM texts."""

    private: str
    public: str


def generate_key_pair(algorithm: str) -> KeyPair:
    """Make a pair for an algorithm; raise :class:`BadAlgorithm` for one that has no pairs."""
    key: PrivateKey
    if algorithm in RSA:
        key = rsa.generate_private_key(public_exponent=65537, key_size=NEW_RSA)
    elif algorithm in ELLIPTIC:
        key = ec.generate_private_key(_CURVES[algorithm]())
    elif algorithm in EDWARDS:
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        raise BadAlgorithm(
            f"There are no key pairs for {algorithm}; use one of {', '.join((*RSA, *ELLIPTIC, *EDWARDS))}."
        )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(private=private.decode(), public=_public_pem(key.public_key()))


def is_pem(text: str) -> bool:
    """Whether a key is a PEM text; else it can only be a shared secret."""
    return "-----BEGIN" in text


def signing_key(text: str, algorithm: str, *, allow_weak: bool = False) -> PrivateKey | str:
    """Return the key to sign with; raise :class:`BadKey` or :class:`BadAlgorithm`."""
    if algorithm in HMAC:
        return _secret(text, algorithm)
    return _fitting(_load_private(text), algorithm, allow_weak)


@dataclass(frozen=True)
class Verifier:
    """A public key, or a shared secret, with an algorithm that it may be used with."""

    algorithm: str
    key: PublicKey | str

    @property
    def fingerprint(self) -> str:
        """What tells this key from others. A shared secret has none: it could be guessed from it."""
        return SHARED_SECRET if isinstance(self.key, str) else _fingerprint(self.key)

    @property
    def is_weak(self) -> bool:
        """Whether it is an RSA key that can be broken."""
        return _is_weak(self.key)


def verifiers(text: str, algorithms: Sequence[str], *, allow_weak: bool = False) -> list[Verifier]:
    """Return the public keys of a text with the algorithms that each fits; several may stand there, for rotation.

    A text without PEM is a shared secret, if one of the algorithms takes such.

    Raises:
        BadKey: no key, a broken one, or none that fits.

    """
    shared = [algorithm for algorithm in algorithms if algorithm in HMAC]
    if shared and not is_pem(text):
        return [Verifier(algorithm, _secret(text, algorithm)) for algorithm in shared]
    pairs = [
        Verifier(algorithm, key) for algorithm in algorithms for key in _load_public(text) if _fits(key, algorithm)
    ]
    fitting = [pair for pair in pairs if allow_weak or not pair.is_weak]
    if not fitting:
        raise BadKey(f"None of the keys fits the algorithm {', '.join(algorithms)}, or they are too short.")
    return fitting


def fitting_algorithm(private: str, algorithms: Sequence[str], *, allow_weak: bool = False) -> str:
    """Return the first of the algorithms that a private key or shared secret can sign with.

    Raises:
        BadKey: the key can't be used.
        BadAlgorithm: it fits none of them.

    """
    for algorithm in algorithms:
        if (algorithm in HMAC) == is_pem(private):
            continue
        try:
            signing_key(private, algorithm, allow_weak=allow_weak)
        except BadAlgorithm:
            continue
        return algorithm
    raise BadAlgorithm(f"The key fits none of the algorithms {', '.join(algorithms)}.")


def public_of(private: str) -> str:
    """Return the public key of a private one, as PEM."""
    return _public_pem(_load_private(private).public_key())


def fingerprint(text: str) -> str:
    """Return ``SHA256:...`` of the public part of a key, as ``ssh-keygen -l`` does; the same for both of a pair."""
    return fingerprints(text)[0]


def fingerprints(text: str) -> list[str]:
    """Return the fingerprint of a private key, or of each of several public ones."""
    found = [_load_private(text).public_key()] if "PRIVATE KEY" in text else _load_public(text)
    return [_fingerprint(key) for key in found]


def _fingerprint(key: PublicKeyTypes) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return "SHA256:" + base64.b64encode(hashlib.sha256(der).digest()).decode().rstrip("=")


@lru_cache(maxsize=4)
def _load_private(text: str) -> PrivateKeyTypes:
    """Return the private key; kept, since the checks of an RSA key cost far more than a signature."""
    if "ENCRYPTED" in text:
        raise BadKey("The private key is encrypted; store it without a passphrase (Airflow encrypts Variables).")
    if "PUBLIC KEY" in text:
        raise BadKey("This is a public key; a private one is needed to sign.")
    try:
        return serialization.load_pem_private_key(text.strip().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey(f"The private key can't be read; {_HINT}") from None


@lru_cache(maxsize=16)
def _load_public(text: str) -> list[PublicKeyTypes]:
    if "PRIVATE KEY" in text:
        raise BadKey("This is a private key; only public keys are needed to verify. Keep the private one secret.")
    blocks = [match.group(0) for match in _PEM.finditer(text)]
    if not blocks:
        raise BadKey(f"There is no public key; {_HINT}")
    try:
        return [serialization.load_pem_public_key(block.encode()) for block in blocks]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadKey(f"A public key can't be read; {_HINT}") from None


def _fitting(key: PrivateKeyTypes, algorithm: str, allow_weak: bool) -> PrivateKey:
    public = key.public_key()
    if not isinstance(key, PrivateKey) or not _fits(public, algorithm):
        raise BadAlgorithm(f"The key does not fit the algorithm {algorithm}.")
    if _is_weak(public) and not allow_weak:
        raise WeakKey(f"The RSA key has {public.key_size} bits; at least {SMALLEST_RSA} are needed.")
    return key


def _fits(key: object, algorithm: str) -> TypeGuard[PublicKey]:
    if algorithm in RSA:
        return isinstance(key, rsa.RSAPublicKey)
    if algorithm in ELLIPTIC:
        return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES[algorithm])
    return algorithm in EDWARDS and isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey))


def _is_weak(key: object) -> TypeGuard[rsa.RSAPublicKey]:
    return isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA


def _secret(text: str, algorithm: str) -> str:
    """A public key is never a shared secret: whoever has it could sign."""
    secret = text.strip()
    if is_pem(secret) or _is_public_key(secret):
        raise BadAlgorithm(f"{algorithm} needs a shared secret, but this is the text of a key.")
    if len(secret) < SMALLEST_SECRET:
        raise BadKey(f"The shared secret has fewer than {SMALLEST_SECRET} characters.")
    return secret


def _is_public_key(text: str) -> bool:
    """Whether a text is a public key in another form than PEM: OpenSSH's, JWK, bare DER."""
    if text.startswith(("ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "{")):
        return True
    try:
        serialization.load_der_public_key(base64.b64decode(text))  # lines may be broken anywhere
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _public_pem(key: PublicKeyTypes) -> str:
    pem: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()
