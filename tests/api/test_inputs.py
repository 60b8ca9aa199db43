"""Files for jobs over HTTP: found on the server, sent in parts."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

API = "/cwl/api/v1/inputs"


@pytest.fixture
def user(client: Callable[..., Any]) -> Any:
    return client("user")


def test_a_file_arrives_in_parts(user: Any, client: Callable[..., Any]) -> None:
    begun = user.post(f"{API}/parts", params={"name": "big.bam", "size": 6, "folder": str(uuid.uuid4())})
    assert begun.status_code == 201
    place = f"{API}/parts/{begun.json()['id']}"
    assert user.put(place, params={"offset": 0}, content=b"abc").json()["received"] == 3
    assert user.put(place, params={"offset": 0}, content=b"abc").status_code == 409
    assert client("op").get(place).status_code == 404
    assert user.get(place).json()["received"] == 3
    file = user.put(place, params={"offset": 3}, content=b"def").json()["file"]
    assert (file["class"], file["size"]) == ("File", 6)
    assert Path(unquote(urlsplit(file["location"]).path)).read_bytes() == b"abcdef"
    assert user.get(place).status_code == 404


def test_an_upload_can_be_cancelled(user: Any, client: Callable[..., Any]) -> None:
    begun = user.post(f"{API}/parts", params={"name": "big.bam", "size": 6})
    place = f"{API}/parts/{begun.json()['id']}"
    assert client("viewer").delete(place).status_code == 403
    assert client("op").delete(place).status_code == 404
    assert user.delete(place).status_code == 204
    assert user.get(place).status_code == 404


def test_a_part_has_a_bound(user: Any) -> None:
    begun = user.post(f"{API}/parts", params={"name": "big.bam", "size": 20 * 1024 * 1024})
    place = f"{API}/parts/{begun.json()['id']}"
    assert user.put(place, params={"offset": 0}, content=b"x" * (17 * 1024 * 1024)).status_code == 413
    assert user.get(place).json()["received"] == 0


@pytest.mark.parametrize("params", [{"size": 1}, {"name": "x"}, {"name": "x", "size": -1}, {"name": "x", "size": "y"}])
def test_an_upload_needs_a_name_and_a_size(user: Any, params: dict[str, Any]) -> None:
    assert user.post(f"{API}/parts", params=params).status_code == 422


def test_folders_for_inputs_can_be_looked_into(user: Any, folders: Path) -> None:
    (folders / "inputs/samples").mkdir(parents=True)
    (folders / "inputs/samples/a.txt").write_text("a")
    assert [entry["name"] for entry in user.get(f"{API}/browse").json()["entries"]] == ["Inputs"]
    found = user.get(f"{API}/browse", params={"path": "samples"}).json()
    assert [(entry["path"], entry["kind"]) for entry in found["entries"]] == [("samples/a.txt", "file")]
    assert user.get(f"{API}/browse", params={"path": "/etc"}).status_code == 404
    left = user.get(f"{API}/browse", params={"path": "samples", "match": "*.fastq"}).json()
    assert (left["entries"], left["hidden"]) == ([], 1)
    assert user.get(f"{API}/browse", params={"path": "samples", "match": "*" * 20}).status_code == 400


def test_who_may_start_no_run_sees_and_sends_nothing(client: Callable[..., Any]) -> None:
    viewer = client("viewer")
    assert viewer.get(f"{API}/browse").status_code == 403
    assert viewer.post(f"{API}/parts", params={"name": "x", "size": 1}).status_code == 403
    assert viewer.put(f"{API}/parts/{uuid.uuid4()}", params={"offset": 0}, content=b"x").status_code == 403
