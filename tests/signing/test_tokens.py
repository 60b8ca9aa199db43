"""What verifies, and every known way of making something verify that should not."""

from __future__ import annotations

import base64
import json
import string
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from support.tokens import encode, private_key

from cwl_ui_plugin.signing import keys, tokens
from cwl_ui_plugin.signing.algorithms import EDWARDS, ELLIPTIC, RSA, parse_algorithms
from cwl_ui_plugin.signing.errors import BadAlgorithm, BadKey, BadSignature
from cwl_ui_plugin.signing.triggers import TriggerPolicy, content_of, sign_trigger, verify_trigger

ALGORITHM = "RS256"

SECRET = "a shared secret that is long enough for any hash, 0123456789 0123456789"


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
    token = encode({"a": 1}, other.private, algorithm="RS256", headers=headers)
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
    assert verify_trigger(token, strict, run_id="r", conf={}).claims["run_id"] == "r"


CONF = {"job": {"x": 1, "y": [1.5, None, "ü"]}}


@pytest.mark.parametrize("signed", [CONF, json.dumps(CONF)])
@pytest.mark.parametrize("sent", [CONF, json.dumps(CONF), json.dumps(CONF, indent=2)])
def test_a_trigger_is_of_a_conf_whatever_its_form(pair: keys.KeyPair, signed: Any, sent: Any) -> None:
    token = sign_trigger("r", signed, pair.private, "RS256")
    assert verify_trigger(token, policy(pair), run_id="r", conf=sent).claims["run_id"] == "r"


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
        {"run_id": "r", "conf": CONF, "dag_id": "other"},
        {"run_id": "r", "conf": CONF, "dag_id": None},
        {"run_id": "r", "conf": CONF, "dag_id": ["d"]},
    ],
)
def test_a_signature_of_anything_else_is_refused(pair: keys.KeyPair, claims: dict[str, Any]) -> None:
    token = tokens.sign(claims, pair.private, "RS256")
    with pytest.raises(BadSignature):
        verify_trigger(token, policy(pair), run_id="r", conf=CONF, dag_id="d")


def test_a_signature_may_be_for_one_dag(pair: keys.KeyPair) -> None:
    token = sign_trigger("r", CONF, pair.private, "RS256", dag_id="d")
    assert verify_trigger(token, policy(pair), run_id="r", conf=CONF, dag_id="d").claims["dag_id"] == "d"
    for other in ("D", "", None):
        with pytest.raises(BadSignature, match="another dag_id"):
            verify_trigger(token, policy(pair), run_id="r", conf=CONF, dag_id=other)


def test_the_dag_can_be_demanded(pair: keys.KeyPair) -> None:
    strict = policy(pair, require_dag_id=True)
    with pytest.raises(BadSignature, match="require_dag_id"):
        verify_trigger(sign_trigger("r", CONF, pair.private, "RS256"), strict, run_id="r", conf=CONF, dag_id="d")
    token = sign_trigger("r", CONF, pair.private, "RS256", dag_id="d")
    assert verify_trigger(token, strict, run_id="r", conf=CONF, dag_id="d")


@pytest.mark.parametrize("conf", [json.dumps(CONF, indent=3), {"job": {"y": [1.5, None, "ü"], "x": 1.0}}])
def test_tokens_that_say_the_same_are_the_same(conf: Any) -> None:
    same = content_of({"run_id": "r", "conf": CONF})
    assert content_of({"run_id": "r", "conf": conf, "exp": 1, "iat": 2}) == same
    for more in ({"run_id": "s"}, {"conf": {}}, {"dag_id": "d"}):
        assert content_of({"run_id": "r", "conf": conf, **more}) != same


def changed(token: str, part: int, how: Any) -> str:
    parts = token.split(".")
    parts[part] = how(parts[part])
    return ".".join(parts)


def flip_unused_bits(part: str) -> str:
    """Another last character that decodes to the same bytes."""
    alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    return part[:-1] + alphabet[alphabet.index(part[-1]) ^ 1]


@pytest.mark.parametrize("part", [0, 1, 2])
@pytest.mark.parametrize(
    "how",
    [
        lambda part: part + "=" * (-len(part) % 4 or 4),
        lambda part: part + "\n",
        lambda part: part[:3] + "!" + part[3:],
        lambda part: part[:-1],
        lambda part: part[:-4],
        lambda _part: "",
        flip_unused_bits,
    ],
    ids=["padded", "newline", "junk", "cut by one", "cut by a group", "empty", "unused bits"],
)
def test_a_token_can_be_written_in_one_way_only(pair: keys.KeyPair, part: int, how: Any) -> None:
    # lengths that leave unused bits in each part, so that each change is one that lenient readers overlook
    token = encode({"a": 1}, pair.private, algorithm="RS256", headers={"x": "1"})
    assert tokens.verify(token, pair.public, ["RS256"]) == {"a": 1}
    with pytest.raises(BadSignature):
        tokens.verify(changed(token, part, how), pair.public, ["RS256"])


def test_base64_of_another_alphabet_is_refused(pair: keys.KeyPair) -> None:
    token = tokens.sign({"a": "~~~???"}, pair.private, "RS256")
    other = token.replace("-", "+").replace("_", "/")
    assert other != token
    with pytest.raises(BadSignature):
        tokens.verify(other, pair.public, ["RS256"])


def signed_text(pair: keys.KeyPair, payload: bytes, headers: dict[str, Any] | None = None) -> str:
    """A token that really is signed, of any bytes."""
    return jwt.PyJWS().encode(payload, private_key(pair.private), algorithm="RS256", headers=headers)


@pytest.mark.parametrize(
    "payload",
    [
        b'{"run_id": "r", "conf": {}, "run_id": "r2"}',
        b'{"conf": {"job": {"x": 1, "x": 2}}}',
        b'{"exp": 4102444800, "exp": 1}',
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b"[1]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-32-le"),
        b'\xef\xbb\xbf{"a": 1}',
        b"",
        b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_a_signed_payload_that_is_no_plain_object_is_refused(pair: keys.KeyPair, payload: bytes) -> None:
    with pytest.raises(BadSignature):
        tokens.verify(signed_text(pair, payload), pair.public, ["RS256"])


def test_a_token_in_a_token_is_refused(pair: keys.KeyPair) -> None:
    inner = tokens.sign({"a": 1}, pair.private, "RS256")
    with pytest.raises(BadSignature):
        tokens.verify(signed_text(pair, inner.encode(), {"cty": "JWT"}), pair.public, ["RS256"])


@pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"crit": "b64"}, {"crit": None}])
def test_extensions_are_refused(pair: keys.KeyPair, header: dict[str, Any]) -> None:
    def part(data: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    text = f"{part({'alg': 'RS256', **header})}.{part({'a': 1})}"
    key = keys.signing_key(pair.private, "RS256")
    signature = key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
    token = f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    with pytest.raises(BadSignature, match="crit"):
        tokens.verify(token, pair.public, ["RS256"])


@pytest.mark.parametrize(
    "header", [b'{"alg":"RS256","alg":"none"}', b"[]", b"1", b'{"alg":["RS256"]}', b'{"alg":null}']
)
def test_a_header_that_is_ambiguous_is_refused(pair: keys.KeyPair, header: bytes) -> None:
    _first, rest = tokens.sign({"a": 1}, pair.private, "RS256").split(".", 1)
    token = f"{base64.urlsafe_b64encode(header).decode().rstrip('=')}.{rest}"
    with pytest.raises(BadSignature):
        tokens.verify(token, pair.public, ["RS256"])


@pytest.mark.parametrize("name", ["jwk", "jku", "kid", "x5u", "x5c", "x5t"])
def test_a_key_that_a_token_brings_is_not_used(pair: keys.KeyPair, name: str) -> None:
    mine = keys.generate_key_pair("ES256")
    public = keys.signing_key(mine.private, "ES256").public_key()
    brought = {
        "jwk": json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public)),
        "x5c": [mine.public],
    }.get(name, "http://127.0.0.1:9/key")
    token = jwt.encode({"a": 1}, mine.private, algorithm="ES256", headers={name: brought})
    with pytest.raises(BadSignature):
        tokens.verify(token, pair.public, ["RS256", "ES256"])
    real = encode({"a": 1}, pair.private, algorithm="RS256", headers={name: brought})
    assert tokens.verify(real, pair.public, ["RS256", "ES256"]) == {"a": 1}  # it is not looked at, either way


@pytest.mark.parametrize("how", ["pem", "pem without end", "der", "jwk", "ssh"])
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_no_form_of_a_public_key_is_a_shared_secret(pair: keys.KeyPair, how: str, algorithm: str) -> None:
    public = keys.signing_key(pair.private, "RS256").public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    ssh = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    text = {
        "pem": pair.public,
        "pem without end": pair.public.partition("-----END")[0],
        "der": base64.b64encode(der).decode(),
        "jwk": json.dumps(jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)),
        "ssh": ssh.decode(),
    }[how]
    token = forged(pair, {"alg": "HS256"}, {"a": 1}, key=text)
    with pytest.raises((BadSignature, BadKey, BadAlgorithm)):
        tokens.verify(token, text, [algorithm, "RS256"])


def test_a_shared_secret_and_key_pairs_may_be_allowed_side_by_side(pair: keys.KeyPair) -> None:
    both = ["RS256", "HS256"]
    assert tokens.verify(tokens.sign({"a": 1}, SECRET, "HS256"), SECRET, both) == {"a": 1}
    assert tokens.verify(tokens.sign({"a": 1}, pair.private, "RS256"), pair.public, both) == {"a": 1}
    checked = tokens.check(tokens.sign({}, SECRET, "HS256"), SECRET, both)
    assert (checked.algorithm, checked.fingerprint) == ("HS256", "shared secret")


def test_the_key_that_signed_is_named(pair: keys.KeyPair) -> None:
    other = keys.generate_key_pair("ES256")
    both = f"{other.public}\n{pair.public}"
    for private, algorithm in ((pair.private, "RS256"), (other.private, "ES256")):
        checked = tokens.check(tokens.sign({"a": 1}, private, algorithm), both, ["RS256", "ES256"])
        assert (checked.fingerprint, checked.algorithm) == (keys.fingerprint(private), algorithm)
        assert keys.fitting_algorithm(private, ["RS256", "ES256"]) == algorithm
    assert keys.fingerprints(both) == [keys.fingerprint(other.public), keys.fingerprint(pair.public)]
    with pytest.raises(BadAlgorithm):
        keys.fitting_algorithm(pair.private, ["ES256", "HS256"])


@pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
@pytest.mark.parametrize("value", ["4102444800", None, True, [1], {}, "soon"])
def test_times_must_be_numbers(pair: keys.KeyPair, name: str, value: Any) -> None:
    with pytest.raises(BadSignature):
        tokens.verify(signed_text(pair, json.dumps({name: value}).encode()), pair.public, ["RS256"])


def test_a_token_counts_at_the_moment_that_is_asked_about(pair: keys.KeyPair) -> None:
    token = tokens.sign({"exp": 1000, "iat": 900.5}, pair.private, "RS256")
    assert tokens.check(token, pair.public, ["RS256"], at=999).claims["exp"] == 1000
    early = 900.5 - tokens.CLOCK_SKEW - tokens.EARLY
    assert tokens.check(token, pair.public, ["RS256"], at=early).claims["exp"] == 1000
    for moment in (1000, 1001, early - 0.1):
        with pytest.raises(BadSignature):
            tokens.check(token, pair.public, ["RS256"], at=moment)


def test_a_site_says_how_long_the_token_of_a_trigger_may_be(pair: keys.KeyPair) -> None:
    conf = {"job": {"x": "y" * tokens.MAX_TOKEN}}
    token = sign_trigger("r", conf, pair.private, "RS256")
    with pytest.raises(BadSignature):
        verify_trigger(token, TriggerPolicy(pair.public, ("RS256",)), run_id="r", conf=conf)
    patient = TriggerPolicy(pair.public, ("RS256",), longest=2 * tokens.MAX_TOKEN)
    assert verify_trigger(token, patient, run_id="r", conf=conf).claims["run_id"] == "r"


def test_a_huge_token_is_refused_unread(pair: keys.KeyPair) -> None:
    token = tokens.sign({"a": "x" * tokens.MAX_TOKEN}, pair.private, "RS256")
    with pytest.raises(BadSignature):
        tokens.verify(token, pair.public, ["RS256"])
    with pytest.raises(BadSignature):
        tokens.verify(signed_text(pair, b"{}", {"x": "x" * tokens.MAX_HEADER}), pair.public, ["RS256"])


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        (1, True),
        (0, False),
        (1.0, True),
        ("1", 1),
        (None, False),
        ([], {}),
        ([1], [1, 1]),
        (9007199254740992.0, 9007199254740993),
        (1e23, 10**23 + 1),
        ({"a": 1}, {"a": 1, "b": 1}),
    ],
)
def test_values_that_python_takes_for_the_same_are_not(pair: keys.KeyPair, signed: Any, sent: Any) -> None:
    token = sign_trigger("r", {"job": {"x": signed}}, pair.private, "RS256")
    with pytest.raises(BadSignature, match="another conf"):
        verify_trigger(token, policy(pair), run_id="r", conf={"job": {"x": sent}})


@pytest.mark.parametrize(("signed", "kept"), [(1e23, 10**23), (1.0, 1), (-0.0, 0), (1e308, 10**308)])
def test_numbers_that_a_database_writes_in_another_way_are_the_same(
    pair: keys.KeyPair, signed: float, kept: int
) -> None:
    token = sign_trigger("r", {"job": {"x": signed}}, pair.private, "RS256")
    verify_trigger(token, policy(pair), run_id="r", conf={"job": {"x": kept}})


@pytest.mark.parametrize(
    ("signed", "sent"),
    [
        *((2**53, 2**53 + 1), (2.0**53, 2**53 + 1), (2**53 + 1, 2.0**53), (1e23, int(1e23)), (1e308, 10**308 + 1)),
        *((10**400, 1e308), (0.1, 0), (0.1 + 0.2, 0.3)),
    ],
)
def test_numbers_are_compared_by_their_digits(pair: keys.KeyPair, signed: float, sent: float) -> None:
    token = sign_trigger("r", {"job": {"x": signed}}, pair.private, "RS256")
    with pytest.raises(BadSignature, match="another conf"):
        verify_trigger(token, policy(pair), run_id="r", conf={"job": {"x": sent}})


def test_a_signature_without_a_run_id_is_of_no_run(pair: keys.KeyPair) -> None:
    """Airflow makes a run_id where none is sent: such a token could be used again and again."""
    token = sign_trigger("", CONF, pair.private, "RS256")
    with pytest.raises(BadSignature):
        verify_trigger(token, policy(pair), run_id="", conf=CONF)
