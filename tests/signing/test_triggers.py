"""What is wrong with the signature of a trigger is said."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cwl_ui_plugin.signing.errors import BadKey, BadSignature
from cwl_ui_plugin.signing.keys import KeyPair, public_of
from cwl_ui_plugin.signing.tokens import sign
from cwl_ui_plugin.signing.triggers import TriggerPolicy, sign_trigger, verify_trigger

CONF = {"job": {"text": "x"}}
FOREVER = 4_000_000_000
"""What is signed when the tests are collected holds until the last has run."""
GOOD: dict[str, Any] = {"run_id": "r", "conf": CONF, "dag_id": "d", "exp": FOREVER}


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name not in names}


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (without("exp"), "The signature never expires: sign an exp, too ([cwl] require_exp)."),
        ({**GOOD, "more": 1}, "The signature is of other fields than run_id, conf and dag_id."),
        (without("conf"), "The signature is of other fields than run_id, conf and dag_id."),
        (without("dag_id"), "The signature is for any Dag: sign the dag_id, too ([cwl] require_dag_id)."),
        ({**GOOD, "dag_id": "e"}, "The signature is of another dag_id."),
        ({**GOOD, "run_id": "s"}, "The signature is of another run_id."),
        ({**GOOD, "conf": {"job": {}}}, "The signature is of another conf."),
    ],
)
def test_what_differs_is_named(pair: KeyPair, claims: dict[str, Any], reason: str) -> None:
    policy = TriggerPolicy(pair.public, ("ES256",), require_exp=True, require_dag_id=True)
    assert verify_trigger(sign(GOOD, pair.private, "ES256"), policy, run_id="r", conf=CONF, dag_id="d").claims == GOOD
    with pytest.raises(BadSignature) as caught:
        verify_trigger(sign(claims, pair.private, "ES256"), policy, run_id="r", conf=CONF, dag_id="d")
    assert str(caught.value) == reason


def test_a_weak_key_signs_and_verifies_only_where_both_sides_allow_it() -> None:
    made = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    weak = made.private_bytes(*form).decode()
    with pytest.raises(BadKey):
        sign_trigger("r", CONF, weak, "RS256")
    token = sign_trigger("r", CONF, weak, "RS256", allow_weak=True)
    allowed = TriggerPolicy(public_of(weak), ("RS256",), allow_weak=True)
    assert verify_trigger(token, allowed, run_id="r", conf=CONF).claims == {"run_id": "r", "conf": CONF}
    with pytest.raises(BadKey):
        verify_trigger(token, TriggerPolicy(public_of(weak), ("RS256",)), run_id="r", conf=CONF)


def test_a_trigger_counts_at_the_moment_that_is_asked_about(pair: KeyPair) -> None:
    token = sign({"run_id": "r", "conf": CONF, "exp": 1_000_000}, pair.private, "ES256")
    policy = TriggerPolicy(pair.public, ("ES256",))
    assert verify_trigger(token, policy, run_id="r", conf=CONF, at=999_000).claims["exp"] == 1_000_000
    with pytest.raises(BadSignature):
        verify_trigger(token, policy, run_id="r", conf=CONF)
