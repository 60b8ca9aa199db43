"""What hostile and mistaken clients send: refused with words as WES has them, and nothing of it stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.api.wes import multipart

WES = "/ga4gh/wes/v1"
GIVEN = {"url": "cat.cwl", "params": "{}"}
BOUNDARY = "a-boundary"


@pytest.fixture
def nothing_left(folders: Path) -> Iterator[None]:
    yield
    uploads = folders / "inputs" / "uploads"
    left = [path.name for path in uploads.iterdir() if path.name != ".lock"] if uploads.exists() else []
    assert left == []
    assert not list((folders / "workflows").glob("workflows/*/current"))


def refused(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"msg", "status_code"}
    assert body["status_code"] == status
    return str(body["msg"])


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"workflow_type": "WDL"}, "runs CWL"),
        ({"workflow_type": None}, "workflow_type"),
        ({"workflow_type_version": "v9"}, "v1.2"),
        ({"workflow_type_version": None}, "workflow_type_version"),
        ({"url": None}, "workflow_url"),
        ({"url": "../cat.cwl"}, "no attachment"),
        ({"url": "x" * 3000}, "characters"),
        ({"url": "no-such-workflow"}, "neither"),
        ({"workflow_engine": "toil"}, "cwltool"),
        ({"workflow_engine": "cwltool", "workflow_engine_version": "0"}, "no version"),
        ({"workflow_engine_version": "1"}, "workflow_engine"),
        ({"workflow_engine_parameters": {"--cores": "1"}}, "run_id"),
        ({"workflow_engine_parameters": {"title": 1}}, "texts"),
        ({"workflow_engine_parameters": {"run_id": "a/b"}}, "run_id"),
        ({"tags": {"a": {"b": "c"}}}, "texts"),
        ({"tags": {"a": "b" * 2000}}, "characters"),
        ({"tags": {str(number): "x" for number in range(101)}}, "100"),
        ({"tags": '{"a": "\\ud800"}'}, "surrogate"),
        ({"tags": "[]"}, "object"),
        ({"params": '{"a": NaN}'}, "NaN"),
        ({"params": '{"a": 1, "a": 2}'}, "twice"),
        ({"params": "[" * 100_000}, "deeply"),
        ({"params": '{"a":' * 200 + "1" + "}" * 200}, "deeply"),
        ({"params": "3"}, "object"),
        ({"unknown_field": "x"}, "unknown_field"),
    ],
)
def test_fields_that_mean_nothing_here(post: Callable[..., Any], fields: dict[str, Any], words: str) -> None:
    assert words in refused(post("op", {"cat.cwl": "{}", "a.txt": "A"}, **{**GIVEN, **fields}))


@pytest.mark.usefixtures("nothing_left")
def test_addresses_that_the_site_does_not_fetch_from(post: Callable[..., Any]) -> None:
    assert "fetch_hosts" in refused(post("op", {"a.txt": "A"}, url="https://example.org/wf.cwl"), 403)
    assert "upload workflows" in refused(post("user", url="https://example.org/wf.cwl"), 403)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    "names",
    [
        ["../a"],
        ["b/../../a"],
        ["/etc/passwd"],
        ["a\0"],
        ["a", "a"],
        ["a", "./a"],
        ["a", "a/b"],
        ["a/b", "a"],
        ["x" * 300],
        ["a/" * 600 + "b"],
        [f"{number}.txt" for number in range(21)],
    ],
    ids=lambda names: names[-1][:12],
)
def test_names_of_attachments(client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UNPACKED_FILES", "20")
    body = b"".join(part(f'name="workflow_attachment"; filename="{name}"', b"x") for name in names) + end()
    assert "attachment" in refused(send(client, body)).lower()


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "boundary"),
        (b"nonsense", "form"),
        (b'--a-boundary\r\nContent-Disposition: form-data; name="tags"\r\n\r\n{}', "boundary"),
        (b'--a-boundary\r\nContent-Disposition: form-data; name="tags"\r\n\r\n\xff\r\n--a-boundary--\r\n', "UTF-8"),
        (b'--a-boundary\r\nContent-Disposition: form-data; name="workflow_attachment"\r\n\r\n', "filename"),
        (b"--a-boundary\r\nX: y\r\n\r\n", "field"),
        (b'--a-boundary\r\nContent-Disposition: form-data; name="\xff"\r\n\r\n', "UTF-8"),
    ],
)
def test_forms_that_are_none(client: Callable[..., Any], body: bytes, words: str) -> None:
    assert words in refused(send(client, body))


@pytest.mark.usefixtures("nothing_left")
def test_headers_of_a_part_are_bounded(client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multipart, "MAX_HEADERS", 100)  # less than what python-multipart lets pass
    assert "headers" in refused(send(client, part(f'name="tags"; x="{"y" * 100}"', b"{}") + end()))


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    "document",
    [
        {"run": "x" * 300},
        {"class": "File", "location": "a.txt", "also": {"secondaryFiles": ["/../../b", "y" * 300]}},
    ],
)
def test_documents_that_refer_to_what_no_file_can_be(post: Callable[..., Any], document: dict[str, Any]) -> None:
    files = {"cat.cwl": json.dumps({"cwlVersion": "v1.2", **document}), "a.txt": "A"}
    assert refused(post("op", files, **GIVEN))


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data", ""])
def test_other_types_of_content(client: Callable[..., Any], kind: str) -> None:
    assert "multipart/form-data" in refused(send(client, b"{}", kind))


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize("name", ['workflow_attachment"; filename="big', "workflow_params"])
def test_what_is_too_large(client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_INPUT_SIZE", "100000")
    large = b"x" * (200_000 if "attachment" in name else 17 * 1024 * 1024)
    words = refused(send(client, part(f'name="{name}"', large) + end()), 413)
    assert "larger" in words or "more than" in words


@pytest.mark.usefixtures("nothing_left")
def test_a_stream_without_end_is_broken_off(client: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_INPUT_SIZE", "100000")
    sent = 0

    def stream() -> Iterator[bytes]:
        nonlocal sent
        yield b'--a-boundary\r\nContent-Disposition: form-data; name="workflow_attachment"; filename="a"\r\n\r\n'
        for _ in range(64):
            sent += 1
            yield b"x" * 1024 * 1024

    refused(send(client, stream()), 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "", 404),
        ("DELETE", "/runs", 405),
        ("PUT", "/service-info", 405),
        ("GET", "/runs?page_size=0", 400),
        ("GET", "/runs?page_size=many", 400),
        ("GET", "/runs?page_token=nonsense", 400),
        ("GET", "/runs?page_token=YWZ0ZXIgLTE", 400),
        ("GET", "/runs?state=BROKEN", 400),
        ("GET", "/runs?tag=a", 400),
        ("GET", "/runs?tag=a%22=b", 400),
        ("GET", "/runs?tag=%00=b", 400),
        ("GET", "/runs/nonsense", 404),
        ("GET", "/runs/" + "A" * 5000, 404),
        ("GET", "/runs/bm8tc3VjaC9ydW4", 404),
        ("GET", "/runs/bm8tc3VjaC9ydW4/status", 404),
        ("GET", "/runs/bm8tc3VjaC9ydW4/tasks", 404),
        ("GET", "/runs/bm8tc3VjaC9ydW4/stderr", 404),
        ("GET", "/runs/bm8tc3VjaC9ydW4/outputs/x", 404),
        ("GET", "/runs/bm8tc3VjaC9ydW4/ro-crate", 404),
        ("POST", "/runs/bm8tc3VjaC9ydW4/cancel", 404),
    ],
)
def test_errors_are_those_of_wes(client: Callable[..., Any], method: str, path: str, status: int) -> None:
    assert refused(client("admin").request(method, f"{WES}{path}"), status)


def part(disposition: str, content: bytes) -> bytes:
    return f"--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"


def end() -> bytes:
    return f"--{BOUNDARY}--\r\n".encode()


def send(client: Callable[..., Any], body: Any, kind: str = f"multipart/form-data; boundary={BOUNDARY}") -> Any:
    return client("op").post(f"{WES}/runs", content=body, headers={"Content-Type": kind})
