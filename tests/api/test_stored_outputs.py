"""Outputs in a bucket, as users get them from the API server: whole, in parts, as a zip, by who may see them alone."""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.buckets import Buckets, buckets, connection_id, refusing
from support.stored import push

from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination, deliver
from cwl_ui_plugin.dags.folders import placement
from cwl_ui_plugin.fetching import quick_answers
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.outputs import output_tree
from cwl_ui_plugin.storing import reading
from cwl_ui_plugin.storing.site import stored_folder

API = "/cwl/api/v1"
TEXT = b"name,reads\n" + b"".join(b"s%d,%d\n" % (number, number) for number in range(120_000))
"""More than is read from a store at a time."""
ODD = "a b#1 100% \u00fc?.csv"


@pytest.fixture(scope="module")
def server() -> Iterator[Buckets]:
    with buckets() as running:
        running.client.create_bucket(Bucket="results")
        yield running


@pytest.fixture
def store(server: Buckets, folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Buckets]:
    name = connection_id()
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", server.connection())
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUTS_FOLDER", f"s3://{name}@results/of us")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.moods.clear()


@pytest.fixture
def outputs(store: Buckets, workflow: str, run_id: str, tmp_path: Path) -> dict[str, Any]:
    """The output object of a run that has delivered."""
    made = tmp_path / "made"
    (made / "d" / "in").mkdir(parents=True)
    (made / ODD).write_bytes(TEXT)
    for name in ("a.txt", "in/b.txt"):
        (made / "d" / name).write_bytes(name.encode())
    value = {
        "said": {"class": "File", "location": (made / ODD).as_uri(), "basename": ODD},
        "all": {"class": "Directory", "location": (made / "d").as_uri(), "basename": "d"},
    }
    path = placement.folders_of(workflow, run_id, {}).outputs.path
    delivered = deliver(value, Destination(path, path, store=stored_folder(path)))
    push(workflow, run_id, "CWLJobGatherer", "return_value", delivered)
    store.asked.clear()
    return delivered


@pytest.fixture
def run(client: Callable[..., Any], workflow: str, run_id: str, outputs: dict[str, Any]) -> Callable[..., Any]:
    """Ask for something of the run."""

    def get(what: str = "", role: str = "viewer", **more: Any) -> Any:
        return client(role).get(f"{API}/workflows/{workflow}/runs/{run_id}{what}", **more)

    return get


def test_a_file_comes_whole_and_in_ranges(run: Callable[..., Any]) -> None:
    from urllib.parse import quote

    place = f"/files/{quote(ODD)}"
    whole = run(place)
    assert (whole.status_code, whole.headers["content-length"]) == (200, str(len(TEXT)))
    assert hashlib.sha1(whole.content).digest() == hashlib.sha1(TEXT).digest()
    assert "sandbox" in whole.headers["content-security-policy"]
    size = len(TEXT)
    for asked, start, end in [
        ("bytes=0-9", 0, 10),
        (f"bytes={size - 5}-", size - 5, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=5-{size * 2}", 5, size),
    ]:
        part = run(place, headers={"Range": asked})
        assert (part.status_code, part.content) == (206, TEXT[start:end])
        assert part.headers["content-range"] == f"bytes {start}-{end - 1}/{size}"
    again = {"Range": "bytes=0-9", "If-Range": whole.headers["etag"]}
    assert run(place, headers=again).status_code == 206
    assert run(place, headers={**again, "If-Range": '"other"'}).status_code == 200
    beyond = run(place, headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert run(place, headers={"Range": "bytes=0-1,4-5"}).status_code == 200


def test_only_what_is_asked_for_is_read_from_the_store(run: Callable[..., Any], store: Buckets) -> None:
    from urllib.parse import quote

    store.asked.clear()
    run(f"/files/{quote(ODD)}", headers={"Range": "bytes=100-199"})
    assert len([asked for asked in store.asked if asked.startswith("GET")]) == 1


def test_lists_name_locations_without_a_connection(run: Callable[..., Any], outputs: dict[str, Any]) -> None:
    found = {file["path"]: file for file in run("/files").json()}
    assert set(found) == {ODD, "d/a.txt", "d/in/b.txt"}
    assert (found[ODD]["size"], found[ODD]["checksum"]) == (len(TEXT), outputs["said"]["checksum"])
    answer = run().json()
    assert answer["outputs"]["said"]["location"].startswith("s3://results/of us/")
    assert answer["output_folder"].startswith("s3://results/of us/")


def test_all_outputs_and_folders_come_as_a_zip(run: Callable[..., Any]) -> None:
    with zipfile.ZipFile(io.BytesIO(run("/zip").content)) as archive:
        assert set(archive.namelist()) == {ODD, "d/a.txt", "d/in/b.txt"}
        assert archive.read(ODD) == TEXT
    with zipfile.ZipFile(io.BytesIO(run("/zip", params={"path": "d"}).content)) as archive:
        assert archive.read("d/in/b.txt") == b"in/b.txt"


def test_a_crate_brings_them_along(run: Callable[..., Any]) -> None:
    answer = run("/crate")
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        assert archive.read(next(name for name in names if name.endswith("in/b.txt"))) == b"in/b.txt"
        assert any(name.endswith(".csv") for name in names)


def test_nothing_else_is_given(run: Callable[..., Any]) -> None:
    others = ("gone.txt", "d/gone", "../x", "d/../../x", ".cwl-outputs.json", ".cwl-record.json", "d")
    given = {path: run(f"/files/{path.replace('..', '%2E%2E')}").status_code for path in others}
    assert given == dict.fromkeys(others, 404)


def test_nobody_gets_them_without_a_right(run: Callable[..., Any], client: Callable[..., Any]) -> None:
    assert run("/files/d/a.txt").content == b"a.txt"
    assert client().get(run("/files/d/a.txt").url.path).status_code in (401, 403)


def test_outputs_may_be_inputs_for_who_may_see_the_workflow(outputs: dict[str, Any], workflow: str) -> None:
    job = {"x": outputs["said"], "d": outputs["all"]}
    granted = InputAccess(None, lambda dag_id: dag_id == workflow).granted(job)
    assert [path.name for path in granted] == [workflow]
    rules = InputAccess(None, lambda dag_id: dag_id == workflow).rules(job)
    assert rules.storage.address(outputs["said"]["location"]).key.endswith(ODD)
    assert rules.storage.address(outputs["all"]["location"], is_folder=True)
    assert InputAccess(None, lambda _dag_id: False).granted(job) == ()


def test_a_run_page_asks_no_store_for_files_that_the_output_object_tells_of(
    outputs: dict[str, Any], store: Buckets, workflow: str, run_id: str
) -> None:
    nodes = output_tree.output_nodes(workflow, run_id, known=outputs).items
    assert {(node.name, node.kind, node.size) for node in nodes} == {(ODD, "file", len(TEXT)), ("d", "folder", None)}
    assert store.asked == []
    inner = output_tree.folder_nodes(workflow, run_id, "d").items
    assert [(node.name, node.kind, node.size) for node in inner] == [("a.txt", "file", 5), ("in", "folder", None)]


def test_a_store_that_does_not_give_them_is_told(run: Callable[..., Any], store: Buckets) -> None:
    store.moods.append(refusing("403 Forbidden", code="InvalidAccessKeyId", message="s3cr3t"))
    answer = run("/files/d/a.txt")
    assert (answer.status_code, "[cwl] outputs_folder" in answer.text, "s3cr3t" in answer.text) == (503, True, False)
    assert run("/zip", params={"path": "d"}).status_code == 503


def test_a_silent_store_holds_nobody_for_long(
    run: Callable[..., Any], store: Buckets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick_answers, "SECONDS", 0.5)
    monkeypatch.setattr(reading, "READING", replace(reading.READING, wait_seconds=0.2))

    def silent(_environ: dict[str, Any], _start: object) -> Iterable[bytes] | None:
        time.sleep(3)
        return None

    store.moods.append(silent)
    answers = [run("/files/d/a.txt") for _one in range(2)]
    assert {answer.status_code for answer in answers} == {503}
    assert "did not answer within" in answers[0].text


def test_one_that_was_written_anew_is_not_mixed(
    run: Callable[..., Any], outputs: dict[str, Any], store: Buckets
) -> None:
    place = placement.Place(Path("/dev/null/stores"), ("s3", "results", *outputs["said"]["location"].split("/")[3:-1]))
    file = reading.StoredPlace(place.root, place.parts).open(ODD)
    assert file.read(5) == TEXT[:5]
    store.put("results", outputs["said"]["location"].partition("results/")[2], TEXT[:-1] + b"?")
    file.seek(reading.BUFFER_BYTES + 1000)
    with pytest.raises(Exception, match="was changed"):
        file.read(5)
