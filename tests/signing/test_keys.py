"""Which texts are keys, which are secrets, and what fits an algorithm."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import serialization

from cwl_ui_plugin.signing import keys
from cwl_ui_plugin.signing.errors import BadAlgorithm, BadKey

REST = "AAAAC3NzaC1lZDI1NTE5AAAAIHVwbG9hZCBvZiBhIGtleSB0aGF0IGlzIHB1YmxpYyBhbmQgbG9uZw== ada@example.org"
SECRET = "a shared secret that is long enough for any hash, 0123456789 0123456789"


@pytest.mark.parametrize(
    "start",
    ["ssh-rsa ", "ecdsa-sha2-nistp256 ", "sk-ssh-ed25519@openssh.com ", "sk-ecdsa-sha2-nistp256@openssh.com ", "{"],
)
def test_the_text_of_a_public_key_is_no_secret(start: str) -> None:
    with pytest.raises(BadAlgorithm, match=r"^HS256 needs a shared secret, but this is the text of a key"):
        keys.signing_key(start + REST, "HS256")


@pytest.mark.parametrize("broken_at", [0, 64])
def test_a_public_key_without_its_first_and_last_line_is_no_secret(pair: keys.KeyPair, broken_at: int) -> None:
    key = serialization.load_pem_public_key(pair.public.encode())
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = base64.b64encode(der).decode()
    if broken_at:
        text = f"{text[:broken_at]}\n{text[broken_at:]}\n"
    with pytest.raises(BadAlgorithm, match="the text of a key"):
        keys.signing_key(text, "HS256")


def test_a_key_of_another_kind_names_the_algorithm(pair: keys.KeyPair) -> None:
    with pytest.raises(BadAlgorithm, match=r"^The key does not fit the algorithm RS256"):
        keys.signing_key(pair.private, "RS256")


def test_the_first_algorithm_that_fits_is_taken(pair: keys.KeyPair) -> None:
    assert keys.fitting_algorithm(pair.private, ["HS256", "RS256", "ES384", "ES256", "EdDSA"]) == "ES256"
    assert keys.fitting_algorithm(SECRET, ["RS256", "HS384", "HS256"]) == "HS384"
    with pytest.raises(BadAlgorithm, match=r"^The key fits none of the algorithms RS256, HS256"):
        keys.fitting_algorithm(pair.private, ["RS256", "HS256"])


def test_a_secret_may_be_as_short_as_is_said() -> None:
    assert keys.signing_key("x" * keys.SMALLEST_SECRET, "HS256") == "x" * keys.SMALLEST_SECRET
    with pytest.raises(BadKey, match="fewer than"):
        keys.signing_key("x" * (keys.SMALLEST_SECRET - 1), "HS256")
