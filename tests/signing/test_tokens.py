"""What verifies, and every known way of making something verify that should not."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import jwt
import pytest

from cwl_ui_plugin.signing import keys, tokens
from cwl_ui_plugin.signing.algorithms import EDWARDS, ELLIPTIC, RSA, parse_algorithms
from cwl_ui_plugin.signing.errors import BadAlgorithm, BadKey, BadSignature
from cwl_ui_plugin.signing.triggers import TriggerPolicy, sign_trigger, verify_trigger

SECRET = "a shared secret that is long enough for any hash, 0123456789 0123456789"


@pytest.fixture(scope="module")
def pair() -> keys.KeyPair:
    return keys.generate_key_pair("RS256")


@pytest.mark.parametrize("algorithm", [*RSA, *ELLIPTIC, *EDWARDS])
def test_a_pair_of_each_algorithm_signs_and_verifies(algorithm: str) -> None:
    made = keys.generate_key_pair(algorithm)
    token = tokens.sign({"a": 1}, made.private, algorithm)
    assert tokens.verify(token, made.public, [algorithm]) == {"a": 1}
    assert keys.fingerprint(made.private) == keys.fingerprint(made.public)


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_shared_secret_signs_and_verifies(algorithm: str) -> None:
    assert tokens.verify(tokens.sign({"a": 1}, SECRET, algorithm), SECRET, [algorithm]) == {"a": 1}


def forged(pair: keys.KeyPair, header: dict[str, Any], claims: dict[str, Any], key: str | None = None) -> str:
    """A token whose header says what an attacker wants it to say."""

    def part(data: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    import hashlib
    import hmac

    body = f"{part(header)}.{part(claims)}"
    signature = hmac.new((key or "").encode(), body.encode(), hashlib.sha256).digest() if key else b""
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def test_the_public_key_is_no_shared_secret(pair: keys.KeyPair) -> None:
    token = forged(pair, {"alg": "HS256", "typ": "JWT"}, {"a": 1}, key=pair.public)
    for algorithms in (["RS256"], ["RS256", "HS256"]):
        with pytest.raises(BadSignature):
            tokens.verify(token, pair.public, algorithms)


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
def test_no_algorithm_is_no_signature(pair: keys.KeyPair, name: str) -> None:
    with pytest.raises(BadSignature):
        tokens.verify(forged(pair, {"alg": name}, {"a": 1}), pair.public, ["RS256"])
    with pytest.raises(BadAlgorithm):
        parse_algorithms(name or "none")


def test_keys_in_the_header_are_not_looked_at(pair: keys.KeyPair) -> None:
    other = keys.generate_key_pair("RS256")
    headers = {"jwk": {"kty": "RSA"}, "jku": "http://127.0.0.1:9/keys", "kid": "../../etc/passwd"}
    token = jwt.encode({"a": 1}, other.private, algorithm="RS256", headers=headers)
    with pytest.raises(BadSignature):
        tokens.verify(token, pair.public, ["RS256"])


def test_another_algorithm_of_the_same_key_is_refused(pair: keys.KeyPair) -> None:
    token = tokens.sign({"a": 1}, pair.private, "RS512")
    with pytest.raises(BadSignature):
        tokens.verify(token, pair.public, ["RS256"])


def test_times_of_a_token_count(pair: keys.KeyPair) -> None:
    now = int(time.time())
    for times, message in (({"exp": now - 60}, "expired"), ({"nbf": now + 600}, "not valid yet")):
        with pytest.raises(BadSignature, match=message):
            tokens.verify(tokens.sign(times, pair.private, "RS256"), pair.public, ["RS256"])


def test_several_public_keys_are_for_rotation(pair: keys.KeyPair) -> None:
    other = keys.generate_key_pair("RS256")
    both = f"{other.public}\n{pair.public}"
    for private in (pair.private, other.private):
        assert tokens.verify(tokens.sign({"a": 1}, private, "RS256"), both, ["RS256"]) == {"a": 1}


@pytest.mark.parametrize("token", [None, 1, "", "a", "a.b", "a.b.c", "a.b.c.d", "é.é.é", {"a": 1}])
def test_what_is_no_token_is_refused(pair: keys.KeyPair, token: Any) -> None:
    with pytest.raises(BadSignature):
        tokens.verify(token, pair.public, ["RS256"])


def test_a_weak_key_is_refused_unless_allowed() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    pem = weak.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(BadKey, match="1024"):
        tokens.sign({}, pem, "RS256")
    assert tokens.sign({}, pem, "RS256", allow_weak=True)


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PUBLIC KEY-----\nxyz\n-----END PUBLIC KEY-----"])
def test_a_broken_key_is_refused_without_being_shown(text: str) -> None:
    for call in (lambda: tokens.verify("a.b.c", text, ["RS256"]), lambda: tokens.sign({}, text, "RS256")):
        with pytest.raises(BadKey) as caught:
            call()
        assert "xyz" not in str(caught.value)
        assert "PEM" in str(caught.value) or "public key" in str(caught.value)


def test_private_and_public_are_not_mixed_up(pair: keys.KeyPair) -> None:
    with pytest.raises(BadKey, match="private key"):
        tokens.verify("a.b.c", pair.private, ["RS256"])
    with pytest.raises(BadKey, match="public key"):
        tokens.sign({}, pair.public, "RS256")


def policy(pair: keys.KeyPair, **more: bool) -> TriggerPolicy:
    return TriggerPolicy(pair.public, ("RS256",), **more)


def test_an_expiry_can_be_demanded(pair: keys.KeyPair) -> None:
    claims = {"run_id": "r", "conf": {}}
    strict = policy(pair, require_exp=True)
    with pytest.raises(BadSignature, match="exp"):
        verify_trigger(tokens.sign(claims, pair.private, "RS256"), strict, run_id="r", conf={})
    token = tokens.sign({**claims, "exp": int(time.time()) + 600}, pair.private, "RS256")
    assert verify_trigger(token, strict, run_id="r", conf={})["run_id"] == "r"


CONF = {"job": {"x": 1, "y": [1.5, None, "ü"]}}


@pytest.mark.parametrize("signed", [CONF, json.dumps(CONF)])
@pytest.mark.parametrize("sent", [CONF, json.dumps(CONF), json.dumps(CONF, indent=2)])
def test_a_trigger_is_of_a_conf_whatever_its_form(pair: keys.KeyPair, signed: Any, sent: Any) -> None:
    token = sign_trigger("r", signed, pair.private, "RS256")
    assert verify_trigger(token, policy(pair), run_id="r", conf=sent)["run_id"] == "r"


@pytest.mark.parametrize(
    "claims",
    [
        {"run_id": "r"},
        {"conf": CONF},
        {"run_id": "r", "conf": CONF, "more": 1},
        {"run_id": "other", "conf": CONF},
        {"run_id": "r", "conf": {"job": {"x": 2}}},
        {"run_id": "r", "conf": '{"job": {}, "job": {"x": 1}}'},
        {"run_id": "r", "conf": None},
    ],
)
def test_a_signature_of_anything_else_is_refused(pair: keys.KeyPair, claims: dict[str, Any]) -> None:
    token = tokens.sign(claims, pair.private, "RS256")
    with pytest.raises(BadSignature):
        verify_trigger(token, policy(pair), run_id="r", conf=CONF)
