"""What can be wrong with keys and signatures. No message ever holds key material.

SigningError
├── BadAlgorithm    unknown, forbidden, or not fitting the key
├── BadKey          no key, broken, encrypted
│   └── WeakKey     an RSA key that can be broken
└── BadSignature    a token that does not verify, or verifies something else
"""

from __future__ import annotations


class SigningError(Exception):
    """Base of this layer's errors; ``str()`` is a message for users."""


class BadAlgorithm(SigningError):
    """An algorithm that can't be used."""


class BadKey(SigningError):
    """A key that can't be used."""


class WeakKey(BadKey):
    """An RSA key that can be broken; it is used only where that is allowed explicitly."""


class BadSignature(SigningError):
    """A token that does not verify."""
