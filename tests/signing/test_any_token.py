"""Whatever is signed verifies, and nothing else does, of any form: by random examples."""

from __future__ import annotations

import base64
import json
from typing import Any

import jwt
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cwl_ui_plugin.signing import keys, tokens
from cwl_ui_plugin.signing.errors import BadSignature
from cwl_ui_plugin.signing.triggers import TriggerPolicy, sign_trigger, verify_trigger

CONF = {"job": {"x": 1, "y": [1.5, None, "ü"]}}
EXACT = st.none() | st.booleans() | st.integers() | st.text()


def nested(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
        max_leaves=12,
    )


JSON = nested(EXACT | st.floats(allow_nan=False, allow_infinity=False))
CONFS = st.dictionaries(st.text(), JSON, max_size=4)
EXACT_CONFS = st.dictionaries(st.text(), nested(EXACT), max_size=4)
"""Without numbers that another number is equal to."""
bounded = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def quick() -> keys.KeyPair:
    return keys.generate_key_pair("EdDSA")


@bounded
@given(conf=CONFS, as_text=st.booleans(), run_id=st.text(min_size=1))
def test_whatever_is_signed_verifies(quick: keys.KeyPair, conf: dict[str, Any], as_text: bool, run_id: str) -> None:
    signed = json.dumps(conf) if as_text else conf
    token = sign_trigger(run_id, signed, quick.private, "EdDSA")
    rules = TriggerPolicy(quick.public, ("EdDSA",))
    verify_trigger(token, rules, run_id=run_id, conf=json.loads(json.dumps(conf)))


@settings(bounded, max_examples=25)
@given(one=EXACT_CONFS, other=EXACT_CONFS)
def test_no_other_conf_verifies(quick: keys.KeyPair, one: dict[str, Any], other: dict[str, Any]) -> None:
    assume(json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))
    token = sign_trigger("r", one, quick.private, "EdDSA")
    with pytest.raises(BadSignature):
        verify_trigger(token, TriggerPolicy(quick.public, ("EdDSA",)), run_id="r", conf=other)


@bounded
@given(place=st.integers(min_value=0), character=st.characters())
def test_no_changed_token_verifies(quick: keys.KeyPair, place: int, character: str) -> None:
    token = sign_trigger("r", CONF, quick.private, "EdDSA")
    place %= len(token)
    assume(token[place] != character)
    with pytest.raises(BadSignature):
        tokens.verify(token[:place] + character + token[place + 1 :], quick.public, ["EdDSA"])


@bounded
@given(header=CONFS, claims=JSON, signature=st.binary(max_size=80))
def test_a_made_up_token_is_refused_and_never_an_error(
    quick: keys.KeyPair, header: dict[str, Any], claims: Any, signature: bytes
) -> None:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    for algorithm in ("EdDSA", "none", "HS256"):
        named = {"alg": algorithm, **header}
        token = f"{part(json.dumps(named).encode())}.{part(json.dumps(claims).encode())}.{part(signature)}"
        with pytest.raises(BadSignature):
            tokens.verify(token, quick.public, ["EdDSA", "HS256"])


@bounded
@given(token=st.one_of(st.text(), st.binary(), JSON))
def test_anything_else_is_refused_and_never_an_error(quick: keys.KeyPair, token: Any) -> None:
    with pytest.raises(BadSignature):
        tokens.verify(token, quick.public, ["EdDSA"])


@bounded
@given(claims=st.dictionaries(st.sampled_from(["run_id", "conf", "exp", "nbf", "iat", "sub"]), JSON))
def test_signed_claims_of_any_type_are_no_error(quick: keys.KeyPair, claims: dict[str, Any]) -> None:
    token = jwt.PyJWS().encode(json.dumps(claims).encode(), quick.private, algorithm="EdDSA")
    try:
        verified = verify_trigger(token, TriggerPolicy(quick.public, ("EdDSA",)), run_id="r", conf={})
    except BadSignature:
        return
    assert verified.claims["run_id"] == "r"
