"""Importing by the REST API, and what a server tells of itself."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.web import Web, web

from cwl_ui_plugin.services.workflows import uploads

API = "/cwl/api/v1"
Client = Callable[..., Any]
TOOL = b"""cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {text: {type: string, inputBinding: {}}}
outputs: {said: {type: stdout}}
stdout: said.txt
"""


@pytest.fixture
def site_elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with web() as running:
        monkeypatch.setenv("AIRFLOW__CWL__FETCH_HOSTS", running.host)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


def test_a_document_is_imported_and_says_where_it_came_from(client: Client, site_elsewhere: Web) -> None:
    url = site_elsewhere.put("/import-say.cwl", TOOL)
    answer = client("op").post(f"{API}/workflows/import", json={"url": url})
    assert answer.status_code == 201, answer.text
    assert answer.json()["dag_id"] == "import-say"
    assert answer.json()["origin"] == {
        "kind": "http",
        "address": url,
        "version": None,
        "commit": None,
        "path": None,
        "verified": 0,
    }
    assert (
        client("op").post(f"{API}/workflows/import", json={"url": site_elsewhere.put("/x.cwl", b"no")}).status_code
        == 400
    )
    again = client("op").post(f"{API}/workflows/import?wait=false", json={"url": url, "dag_id": "import-say"})
    assert again.status_code == 202
    assert again.headers["location"] == f"{API}/uploads/{again.json()['id']}"
    assert uploads.wait_upload(again.json()["id"]).digest == answer.json()["digest"]


@pytest.mark.parametrize("place", ["fetching", "unpacking", "storing"])
def test_a_disk_that_is_full_is_told_and_nothing_is_left(
    client: Client, site_elsewhere: Web, folders: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    from cwl_ui_plugin.fetching import fetch
    from cwl_ui_plugin.library import intake
    from cwl_ui_plugin.library.numbering import NumberFile

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    targets = {"fetching": (fetch, "fetch_file"), "unpacking": (intake, "unpack"), "storing": (NumberFile, "keep")}
    url = site_elsewhere.put("/full-say.cwl", TOOL)
    with monkeypatch.context() as patched:
        patched.setattr(*targets[place], full)
        answer = client("op").post(f"{API}/workflows/import", json={"url": url})
    assert (answer.status_code, "The server's disk has no room" in answer.json()["detail"]) == (507, True), answer.text
    store = folders / "workflows"
    assert not (store / "workflows" / "full-say").exists()
    assert not [path for path in (store / "uploads").rglob("*") if path.name in ("source", "compiled")]
    assert client("op").post(f"{API}/workflows/import", json={"url": url}).status_code == 201


def test_importing_takes_the_rights_of_an_upload(client: Client, site_elsewhere: Web) -> None:
    url = site_elsewhere.put("/say.cwl", TOOL)
    for role, status in ((None, 401), ("viewer", 403), ("user", 403)):
        assert client(role).post(f"{API}/workflows/import", json={"url": url}).status_code == status
    assert client("op").post(f"{API}/workflows/import", json={"url": url, "ref": 7}).status_code == 422
    assert site_elsewhere.asked == []


def test_a_server_tells_what_it_speaks(client: Client) -> None:
    from airflow.models.variable import Variable

    from cwl_ui_plugin.signing.keys import fingerprint, generate_key_pair

    pair = generate_key_pair("ES256")
    Variable.set("process_report_private_key", pair.private)
    Variable.set("process_report_crypt_algorithm", "ES256")
    Variable.set("jwt_backend_public_key", "a-shared-secret-of-a-test-long-enough-for-hs256")
    Variable.set("jwt_backend_crypt_algorithm", "HS256")
    answer = client().get(f"{API}/service")
    found = answer.json()
    assert found["apis"]["trs"]["url"].endswith("/ga4gh/trs/v2")
    assert found["apis"]["wes"]["url"].endswith("/ga4gh/wes/v1")
    assert "1.2" in found["report_formats"]
    assert found["reports"] == {"is_set": True, "algorithm": "ES256", "fingerprint": fingerprint(pair.public)}
    assert found["triggers"] == {"is_set": True, "algorithm": "HS256", "fingerprint": None}
    assert "shared-secret" not in answer.text
    assert "PRIVATE" not in json.dumps(found)
