"""Forged, changed, borrowed and repeated tokens, sent to a real server: none of them starts a run."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from support.airflow_server import wait_for
from support.cast import API, HIDDEN, OLD, SHOWN, Site
from support.tokens import encode, private_key

from cwl_ui_plugin.signing.keys import KeyPair, generate_key_pair

pytestmark = [pytest.mark.e2e, pytest.mark.again("with the other auth manager", variant="simple")]
CONF = {"job": {"text": "signed"}}
ALGORITHMS = "RS256,ES256"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
Body = dict[str, Any]


def b64(data: bytes | dict[str, Any] | str) -> str:
    raw = json.dumps(data).encode() if isinstance(data, dict) else data.encode() if isinstance(data, str) else data
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class Forger:
    """Has a true client's keys and the attacker's own, and the names of one trigger."""

    def __init__(self) -> None:
        self.rsa = generate_key_pair("RS256")
        self.ec = generate_key_pair("ES256")
        self.mine = generate_key_pair("RS256")
        self.run_id = ""

    @property
    def trusted(self) -> str:
        return f"{self.rsa.public}\n{self.ec.public}"

    @property
    def claims(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "conf": CONF}

    def new(self) -> Forger:
        self.run_id = f"forged-{uuid.uuid4()}"
        return self

    def body(self, token: Any) -> Body:
        return {"run_id": self.run_id, "conf": CONF, "check_payload": token}

    def good(self, pair: KeyPair | None = None, algorithm: str = "RS256", **claims: Any) -> str:
        return encode({**self.claims, **claims}, (pair or self.rsa).private, algorithm=algorithm)

    def unsigned(self, name: Any) -> str:
        return f"{b64({'alg': name, 'typ': 'JWT'})}.{b64(self.claims)}."

    def hmac_of(self, secret: bytes, algorithm: str = "HS256") -> str:
        text = f"{b64({'alg': algorithm, 'typ': 'JWT'})}.{b64(self.claims)}"
        digest = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}[algorithm]
        return f"{text}.{b64(hmac.new(secret, text.encode(), digest).digest())}"

    def with_header(self, pair: KeyPair, **header: Any) -> str:
        return encode(self.claims, pair.private, algorithm="RS256", headers=header)

    def raw(self, header: bytes, payload: bytes) -> str:
        """Sign any bytes with the true client's key."""
        text = f"{b64(header)}.{b64(payload)}"
        key = private_key(self.rsa.private)
        return f"{text}.{b64(key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def public_as(self, form: str) -> bytes:
        key = serialization.load_pem_public_key(self.rsa.public.encode())
        kinds = {
            "der": (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo),
            "pkcs1": (serialization.Encoding.PEM, serialization.PublicFormat.PKCS1),
            "ssh": (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH),
        }
        if form in kinds:
            return key.public_bytes(*kinds[form])
        pem = self.rsa.public.encode()
        return {
            "pem": pem,
            "stripped": pem.strip(),
            "crlf": pem.replace(b"\n", b"\r\n"),
            "both": self.trusted.encode(),
        }[form]


def malleable(forger: Forger) -> str:
    """The other signature (r, n - s) that ECDSA accepts for the same text, over a text that was changed."""
    token = forger.good(forger.ec, "ES256", conf={"job": {"text": "another"}})
    text, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    return f"{text}.{b64(r.to_bytes(32, 'big') + (P256_ORDER - s).to_bytes(32, 'big'))}"


def psychic(forger: Forger) -> str:
    """A signature of zeros, which some verifiers of ECDSA took for good."""
    return f"{b64({'alg': 'ES256', 'typ': 'JWT'})}.{b64(forger.claims)}.{b64(bytes(64))}"


def der_signature(forger: Forger) -> str:
    text = f"{b64({'alg': 'ES256', 'typ': 'JWT'})}.{b64(forger.claims)}"
    key: Any = serialization.load_pem_private_key(forger.ec.private.encode(), None)
    found = key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    return f"{text}.{b64(encode_dss_signature(*decode_dss_signature(found)))}"


def swapped(forger: Forger) -> str:
    """The claims of one token with the signature of another."""
    return f"{forger.good().rpartition('.')[0]}.{forger.good(run_id='other').rpartition('.')[2]}"


def two_signatures(forger: Forger) -> str:
    good = forger.good()
    return f"{good}.{good.rpartition('.')[2]}"


def as_json(forger: Forger) -> dict[str, Any]:
    """The JSON form of JWS, with two signatures."""
    header, payload, signature = forger.good().split(".")
    ones = [{"protected": header, "signature": signature}, {"protected": b64({"alg": "none"}), "signature": ""}]
    return {"payload": payload, "signatures": ones}


def changed_form(how: Callable[[str], str]) -> Callable[[Forger], Body]:
    return lambda forger: forger.body(how(forger.good()))


def unused_bits(token: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return token[:-1] + alphabet[alphabet.index(token[-1]) ^ 1]


def now(shift: float) -> int:
    return int(time.time() + shift)


_ALG_NAMES = (
    "none",
    "None",
    "NONE",
    "nOnE",
    "",
    " none",
    "none ",
    "n\u0430ne",
    "\uff4e\uff4f\uff4e\uff45",
    None,
    0,
    ["none"],
)
_SAME = ("rs256", "RS256 ", "\uff32\uff33256", "RS\u0665", "RS256\u0000", "HS256,RS256", ["RS256"], {"RS256": 1})
_TIMES: dict[str, Callable[[], dict[str, Any]]] = {
    "expired": lambda: {"exp": now(-60)},
    "expired just now": lambda: {"exp": now(-1)},
    "exp is zero": lambda: {"exp": 0},
    "exp is a text": lambda: {"exp": str(now(600))},
    "exp is null": lambda: {"exp": None},
    "exp is a list": lambda: {"exp": [now(600)]},
    "exp is true": lambda: {"exp": True},
    "not valid yet": lambda: {"nbf": now(3600)},
    "made in the future": lambda: {"iat": now(3600)},
}
_OTHER: dict[str, dict[str, Any]] = {
    "another run_id": {"run_id": "another"},
    "run_id in other letters": {"run_id": "FORGED"},
    "run_id is null": {"run_id": None},
    "run_id is a list": {"run_id": ["forged"]},
    "another conf": {"conf": {"job": {"text": "another"}}},
    "conf is null": {"conf": None},
    "conf is empty": {"conf": {}},
    "conf has more": {"conf": {**CONF, "more": 1}},
    "job has more": {"conf": {"job": {"text": "signed", "number": 1}}},
    "conf in a list": {"conf": [CONF]},
    "conf is text of a text": {"conf": json.dumps(json.dumps(CONF))},
    "another Dag": {"dag_id": HIDDEN},
    "more claims": {"state": "running"},
    "a report": {"dag_id": SHOWN, "progress": 100, "statistics": "", "logs": ""},
}
_KEYS_IN_HEADERS: dict[str, Callable[[Forger], dict[str, Any]]] = {
    "jwk": lambda forger: {"jwk": _jwk(forger)},
    "jku": lambda _forger: {"jku": "http://127.0.0.1:9/keys"},
    "x5u": lambda _forger: {"x5u": "file:///etc/passwd"},
    "x5c": lambda forger: {"x5c": [b64(forger.public_as("der"))]},
    "kid of a path": lambda _forger: {"kid": "../../../../dev/null"},
    "kid of SQL": lambda _forger: {"kid": "x' UNION SELECT 'secret' --"},
    "kid of a command": lambda _forger: {"kid": "/tmp/x|touch /tmp/cwl-pwned"},
}


def _jwk(forger: Forger) -> Any:
    key: Any = serialization.load_pem_public_key(forger.mine.public.encode())
    return jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True)


ATTACKS: dict[str, Callable[[Forger], Body]] = {
    **{f"alg {name!r}": lambda f, name=name: f.body(f.unsigned(name)) for name in _ALG_NAMES},
    **{
        f"alg {name!r}, with a signature": lambda f, name=name: f.body(
            f"{b64({'alg': name, 'typ': 'JWT'})}.{f.good().partition('.')[2]}"
        )
        for name in (*_ALG_NAMES[:4], *_SAME)
    },
    **{
        f"{algorithm} with the public key as {form}": lambda f, algorithm=algorithm, form=form: f.body(
            f.hmac_of(f.public_as(form), algorithm)
        )
        for algorithm, form in (
            *(("HS256", form) for form in ("pem", "stripped", "crlf", "both", "der", "pkcs1", "ssh")),
            *(("HS384", "pem"), ("HS512", "pem")),
        )
    },
    "HS256 with nothing": lambda f: f.body(f.hmac_of(b"")),
    "HS256 with a null": lambda f: f.body(f.hmac_of(b"\0")),
    "HS256 with the fingerprint": lambda f: f.body(f.hmac_of(hashlib.sha256(f.public_as("der")).digest())),
    **{
        f"key in the header: {name}": lambda f, header=header: f.body(f.with_header(f.mine, **header(f)))
        for name, header in _KEYS_IN_HEADERS.items()
    },
    "extension": lambda f: f.body(
        f.raw(b'{"alg":"RS256","crit":["x"],"x":1}', json.dumps(f.claims).encode())
    ),
    "payload that is not encoded": lambda f: f.body(
        f.raw(b'{"alg":"RS256","b64":false,"crit":["b64"]}', json.dumps(f.claims).encode())
    ),
    "somebody else's key": lambda f: f.body(f.good(f.mine)),
    "RS512": lambda f: f.body(f.good(f.rsa, "RS512")),
    "PS256": lambda f: f.body(f.good(f.rsa, "PS256")),
    "RS256 named by an EC signature": lambda f: f.body(
        f"{b64({'alg': 'RS256'})}.{f.good(f.ec, 'ES256').partition('.')[2]}"
    ),
    "ES256 of zeros": lambda f: f.body(psychic(f)),
    "ES256 as DER": lambda f: f.body(der_signature(f)),
    "the other signature of ECDSA": lambda f: f.body(malleable(f)),
    "two halves": lambda f: f.body(swapped(f)),
    "two signatures": lambda f: f.body(two_signatures(f)),
    "JSON form": lambda f: f.body(as_json(f)),
    "JSON form as text": lambda f: f.body(json.dumps(as_json(f))),
    "list of tokens": lambda f: f.body([f.good()]),
    "detached": lambda f: f.body("{0}..{2}".format(*f.good().split("."))),
    "no signature": lambda f: f.body(f.good().rpartition(".")[0] + "."),
    "no dots": lambda f: f.body(f.good().replace(".", "")),
    "encrypted form": lambda f: f.body(f"{f.good()}.x.y"),
    "token in a token": lambda f: f.body(f.raw(b'{"alg":"RS256","cty":"JWT"}', f.good().encode())),
    "token in a token of mine": lambda f: f.body(encode({**f.claims, "token": f.good()}, f.mine.private, "RS256")),
    "padded": changed_form(lambda token: token + "=="),
    "newline": changed_form(lambda token: token + "\n"),
    "space before": changed_form(lambda token: " " + token),
    "Bearer before": changed_form(lambda token: "Bearer " + token),
    "other alphabet": changed_form(lambda token: token.replace("-", "+").replace("_", "/") + "+"),
    "percent-encoded": changed_form(lambda token: token.replace(".", "%2E")),
    "zero-width space": changed_form(lambda token: token[:10] + "\u200b" + token[10:]),
    "full-width dot": changed_form(lambda token: token.replace(".", "\uff0e")),
    "unused bits": changed_form(unused_bits),
    "cut": changed_form(lambda token: token[:-4]),
    "huge": lambda f: f.body("A" * 4_000_000),
    "huge header": lambda f: f.body(f.with_header(f.rsa, x="A" * 20_000)),
    "claims twice": lambda f: f.body(
        f.raw(b'{"alg":"RS256"}', f'{{"run_id":"x","conf":{json.dumps(CONF)},"run_id":"{f.run_id}"}}'.encode())
    ),
    "alg twice": lambda f: f.body(f.raw(b'{"alg":"RS256","alg":"none"}', json.dumps(f.claims).encode())),
    "claims of NaN": lambda f: f.body(
        f.raw(b'{"alg":"RS256"}', f'{{"run_id":"{f.run_id}","conf":{json.dumps(CONF)},"iat":NaN}}'.encode())
    ),
    "claims in a list": lambda f: f.body(f.raw(b'{"alg":"RS256"}', json.dumps([f.claims]).encode())),
    "claims in UTF-16": lambda f: f.body(f.raw(b'{"alg":"RS256"}', json.dumps(f.claims).encode("utf-16"))),
    "claims with a byte order mark": lambda f: f.body(
        f.raw(b'{"alg":"RS256"}', b"\xef\xbb\xbf" + json.dumps(f.claims).encode())
    ),
    "claims nested": lambda f: f.body(f.raw(b'{"alg":"RS256"}', b"[" * 100_000)),
    **{name: lambda f, times=times: f.body(f.good(**times())) for name, times in _TIMES.items()},
    **{name: lambda f, claims=claims: f.body(f.good(**claims)) for name, claims in _OTHER.items()},
    "nothing": lambda f: f.body(None),
    "empty": lambda f: f.body(""),
    "true": lambda f: f.body(True),
    "number": lambda f: f.body(1),
    "object": lambda f: f.body({"alg": "none"}),
    "two names": lambda f: {**f.body(f.unsigned("none")), "token": f.good()},
    "the conf brings its own": lambda f: {"run_id": f.run_id, "conf": {**CONF, "check_payload": f.good()}},
    "no run_id": lambda f: {"conf": CONF, "check_payload": f.good()},
    "run_id null": lambda f: {"run_id": None, "conf": CONF, "check_payload": f.good(run_id=None)},
    "run_id empty": lambda f: {"run_id": "", "conf": CONF, "check_payload": f.good(run_id="")},
    "run_id in composed letters": lambda f: {
        "run_id": f.run_id + "e\u0301", "conf": CONF, "check_payload": f.good(run_id=f.run_id + "\u00e9")
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def forger(site: Site) -> Iterator[Forger]:
    """The server trusts two keys for as long as the tests of this file run."""
    made = Forger()
    values = {"jwt_backend_public_key": made.trusted, "jwt_backend_crypt_algorithm": ALGORITHMS}
    with site.client() as admin:
        for key, value in values.items():
            admin.post("/api/v2/variables", json={"key": key, "value": value}).raise_for_status()
        yield made
        site.server.remove(admin, *(f"/api/v2/variables/{key}" for key in values))


def sent(site: Site, body: Body, dag_id: str = SHOWN) -> Any:
    with site.client("nobody") as portal:
        return portal.post(f"{OLD}/dags/{dag_id}/dag_runs", json=body)


def test_there_are_enough_of_them() -> None:
    assert len(ATTACKS) > 75


def test_no_forged_token_starts_a_run(site: Site, forger: Forger) -> None:
    before = site.runs()
    paths = (f"{OLD}/dags/{SHOWN}/dag_runs", f"{API}/workflows/{SHOWN}/runs")
    attacks = [(f"{name}: {path}", path, attack(forger.new())) for name, attack in ATTACKS.items() for path in paths]
    with site.client("nobody") as portal:

        def complaint(sent: tuple[str, str, Body]) -> str | None:
            name, path, body = sent
            answer = portal.post(path, json=body)
            # REST takes a trigger without a signature for one of a user, who must log in
            refusals = (403,) if path.startswith(OLD) else (400, 401, 403)
            is_refused = answer.status_code in refusals and answer.json().get("detail")
            is_quiet = "Traceback" not in answer.text and forger.rsa.public.splitlines()[1] not in answer.text
            return None if is_refused and is_quiet else f"{name}: {answer.status_code} {answer.text[:300]}"

        with ThreadPoolExecutor(8) as pool:
            assert [found for found in pool.map(complaint, attacks) if found] == []
    assert site.runs() == before


def test_no_claim_of_a_header_is_followed(site: Site, forger: Forger) -> None:
    """What a good token's header names is not fetched, not read, and changes nothing."""
    token = forger.new().with_header(forger.rsa, jku="http://127.0.0.1:9/x", kid="../../etc/passwd")
    assert sent(site, forger.body(token)).status_code == 200


def test_a_token_is_for_one_run(site: Site, forger: Forger) -> None:
    body = forger.new().body(forger.good())
    assert sent(site, body).status_code == 200
    assert sent(site, body).status_code == 409
    text = {**body, "conf": json.dumps(CONF, indent=3)}
    assert sent(site, text).status_code == 409
    with site.client() as admin:
        path = f"/cwl/api/v1/workflows/{SHOWN}/runs/{forger.run_id}"
        wait_for(lambda: admin.get(path).json()["state"] in ("success", "failed"), 180, "the end of the run")
        stopped = admin.post(f"{path}/stop", json={"remove": True})
        assert stopped.status_code == 200, stopped.text
    assert sent(site, body).status_code == 409
    assert forger.run_id not in site.runs()


def test_many_at_once_start_one_run(site: Site, forger: Forger) -> None:
    body = forger.new().body(forger.good())
    with ThreadPoolExecutor(12) as pool:
        statuses = [answer.status_code for answer in pool.map(lambda _: sent(site, body), range(12))]
    assert sorted(set(statuses)) in ([200, 409], [200, 409, 503])
    assert statuses.count(200) == 1


def test_a_bearer_token_of_airflow_is_no_signature(site: Site, forger: Forger) -> None:
    answer = sent(site, forger.new().body(site.tokens["admin"]))
    assert answer.status_code == 403
    logged_in = site.client("admin").post(f"{OLD}/dags/{SHOWN}/dag_runs", json={"run_id": "x", "conf": CONF})
    assert logged_in.status_code == 403, "where keys are set, this endpoint takes what is signed only"


@pytest.mark.parametrize(
    "body",
    [
        b'{"run_id": "a", "run_id": "b", "conf": {}}',
        b'{"run_id": "a", "conf": {"job": {"text": "x", "text": "y"}}}',
        b'{"run_id": "a", "conf": {"job": {"number": NaN}}}',
        b'{"run_id": "a", "conf": {"job": {"number": 1e999}}}',
        b'{"run_id": "a", "conf": {"job": {"text": "\\ud800"}}}',
        b'{"run_id": "a", "conf": {"job": {"text": "\\u0000"}}}',
        b"[" * 100_000,
        b'{"conf": ' * 50_000,
        b"\xff\xfe\x00",
        b'"text"',
        b"null",
        b'{"run_id": ["a"]}',
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
def test_a_body_that_is_no_plain_object_is_refused(site: Site, forger: Forger, body: bytes) -> None:
    before = site.runs()
    with site.client("nobody") as portal, site.client("the-user") as user:
        headers = {"Content-Type": "application/json"}
        for client, path in ((portal, f"{OLD}/dags/{SHOWN}/dag_runs"), (user, f"{API}/workflows/{SHOWN}/runs")):
            answer = client.post(path, content=body, headers=headers)
            assert answer.status_code in (400, 403, 422), (path, answer.text[:300])
            assert answer.json()["detail"]
            assert "Traceback" not in answer.text
    assert site.runs() == before
