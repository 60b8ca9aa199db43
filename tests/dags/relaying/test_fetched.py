"""Addresses, errors and what is kept: the parts of the relay that need no agent."""

from __future__ import annotations

import hashlib
import io
import os
import time
from pathlib import Path

import httpx
import pytest

from cwl_ui_plugin.dags.relaying import fetched
from cwl_ui_plugin.dags.relaying.errors import Away, Refused, RelayError
from cwl_ui_plugin.dags.relaying.fetched import Fetched
from cwl_ui_plugin.dags.relaying.server_calls import Certificates, ServerCalls, workers_address


@pytest.mark.parametrize(
    ("execution", "expected"),
    [
        ("http://127.0.0.1:8080/execution/", "http://127.0.0.1:8080/cwl/worker/v1"),
        ("https://airflow.example/execution", "https://airflow.example/cwl/worker/v1"),
        ("https://site.example/team/airflow/execution/", "https://site.example/team/airflow/cwl/worker/v1"),
    ],
)
def test_the_api_is_beside_airflows_own(execution: str, expected: str) -> None:
    assert workers_address(execution) == expected


def calls(answer: httpx.Response | Exception) -> ServerCalls:
    def answered(request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer first"
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = httpx.Client(transport=httpx.MockTransport(answered))
    return ServerCalls(client, "http://server/cwl/worker/v1", "first")


@pytest.mark.parametrize(
    "answer",
    [
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        *[httpx.Response(status) for status in (302, 408, 429, 500, 502, 503, 504)],
        httpx.Response(200, text="<html>a proxy's page</html>"),
    ],
    ids=str,
)
def test_what_may_pass_is_away(answer: httpx.Response | Exception) -> None:
    with pytest.raises(Away, match="http://server"):
        calls(answer).call("POST", "/look")


def test_what_is_refused_says_why_and_a_new_token_is_used_from_then_on() -> None:
    refused = httpx.Response(409, json={"detail": "it ends elsewhere", "size": 7}, headers={"Refreshed-API-Token": "2"})
    made = calls(refused)
    with pytest.raises(Refused, match="ends elsewhere") as caught:
        made.call("POST", "/logs/stderr.log")
    assert (caught.value.status, caught.value.size, made.token) == (409, 7, "2")
    assert "first" not in repr(calls(refused))


def test_an_archive_is_whole_or_away() -> None:
    digest = {"X-Content-SHA256": hashlib.sha256(b"all of it").hexdigest()}
    target = io.BytesIO()
    calls(httpx.Response(200, content=b"all of it", headers=digest)).fetch("/document/archive", target, 100)
    assert target.getvalue() == b"all of it"
    with pytest.raises(Away, match="damaged"):
        calls(httpx.Response(200, content=b"all of", headers=digest)).fetch("/document/archive", io.BytesIO(), 100)
    with pytest.raises(Refused, match="more than 3 bytes"):
        calls(httpx.Response(200, content=b"all of it", headers=digest)).fetch("/document/archive", io.BytesIO(), 3)


def test_certificates_are_believed_as_airflows_own_workers_believe_them(tmp_path: Path) -> None:
    import certifi

    found = Certificates(ssl_cert=certifi.where()).context()
    assert found.check_hostname
    with pytest.raises(OSError, match="No such file"):
        Certificates(ssl_ca_file=str(tmp_path / "none.pem")).context()


def test_what_nobody_uses_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_FOLDER", str(tmp_path))
    monkeypatch.setattr(fetched, "MOST_KEPT", 2)
    kept, now = Fetched(), time.time()
    ages = {"a": 0.0, "b": fetched.ROOM_SECONDS / 2, "c": fetched.ROOM_SECONDS / 2 + 9, "d": fetched.ROOM_SECONDS * 2}
    ages["e"] = fetched.UNUSED_SECONDS * 2
    for name, age in ages.items():
        (tmp_path / "fetched" / name).mkdir(parents=True)
        os.utime(tmp_path / "fetched" / name, (now - age, now - age))
    for name, age in (("0" * 32, fetched.HALF_MADE_SECONDS * 2), ("1" * 32, 9.0)):
        (tmp_path / "fetched" / f".{name}" / "workflows").mkdir(parents=True)
        os.utime(tmp_path / "fetched" / f".{name}", (now - age, now - age))
    kept.prune()
    assert len(list((tmp_path / "fetched").glob("[!.]*"))) == 5  # not yet
    kept._pruned -= fetched.PRUNE_SECONDS + 1
    kept.prune()
    assert sorted(path.name for path in (tmp_path / "fetched").glob("[!.]*")) == ["a", "b", "c"]
    assert [path.name for path in (tmp_path / "fetched").glob(".[01]*")] == [f".{'1' * 32}"]


def test_a_key_that_is_another_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_FOLDER", str(tmp_path))
    with pytest.raises(RelayError, match="is none"):
        Fetched().grant_key(calls(httpx.Response(200, json={"key": "evil"})), "0" * 64, lambda: True)
    assert not list(tmp_path.rglob("*.pem"))
    with pytest.raises(RelayError, match="names no key"):
        Fetched().grant_key(calls(httpx.Response(200)), "../../x", lambda: True)
