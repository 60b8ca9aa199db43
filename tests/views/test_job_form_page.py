"""The page that starts a run: what it shows, what it takes, and what it says about what it does not take."""

from __future__ import annotations

import base64
import io
import json
import re
import uuid
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.dags.conf import GRANT

READ = {
    "type": "record",
    "name": "read",
    "fields": [{"name": "lane", "type": "int"}, {"name": "file", "type": ["null", "File"]}],
}
INPUTS = (
    Parameter(id="note", type=["null", "string"], doc="Any *text*. <script>alert(1)</script>"),
    Parameter(id="text", type="string", label="What to say"),
    Parameter(id="mode", type={"type": "enum", "symbols": ["fast", "exact"]}),
    Parameter(id="count", type="int", has_default=True, default=3),
    Parameter(id="reads", type=["null", {"type": "array", "items": READ}]),
    Parameter(id="password", type=["null", "string"], is_secret=True),
)
GOOD = {"text": "x", "mode": "fast", "reads": [{"lane": 1}]}


class Site:
    """A logged-in user at the page of one workflow."""

    def __init__(self, client: Any, dag_id: str) -> None:
        self.client = client
        self.dag_id = dag_id
        self.url = f"/cwl/workflows/{dag_id}/run"
        page = client.get(self.url).text
        self.token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)[1]
        self.digest = re.search(r'name="digest"[^>]*value="([^"]+)"', page)[1]

    def get(self, query: str = "") -> str:
        return self.client.get(self.url + query).text

    def post(self, path: str = "", **fields: Any) -> Any:
        names = {"run_id": f"run-{uuid.uuid4()}", "digest": self.digest, "csrf_token": self.token}
        return self.client.post(
            self.url + path, data={**names, **fields}, headers={"X-Requested-With": "XMLHttpRequest"} if path else None
        )

    def conf(self, run_id: str) -> Any:
        """Return the conf that a run was started with, without the grant that the server has added."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            found = session.scalar(select(DagRun.conf).where(DagRun.dag_id == self.dag_id, DagRun.run_id == run_id))
        return found and {name: value for name, value in found.items() if name != GRANT}


@pytest.fixture
def site(browser: Callable[..., Any], add: Callable[..., Any]) -> Site:
    dag_id = f"form-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=INPUTS)
    return Site(browser("user"), dag_id)


FIELDS = {"source": "form", "in-1": "x", "in-2": "fast", "in-4-0-0": "1"}


def unfold(page: str) -> str:
    return unescape(re.sub(r"\s+", " ", page))


def error_of(page: str, name: str) -> str:
    """The message beside a control."""
    found = re.search(rf'id="{name}-err"[^>]*>(.*?)</span>', page, re.DOTALL)
    return unescape(found[1]) if found else ""


def test_the_form_without_scripts_starts_the_run(site: Site) -> None:
    answer = site.post(run_id="by-form", **FIELDS)
    assert answer.status_code == 200, answer.text
    assert site.conf("by-form") == {"job": GOOD}


def test_the_fields_that_a_script_packs_are_the_same(site: Site) -> None:
    pairs = [[name, value] for name, value in FIELDS.items() if name != "source"]
    packed = (io.BytesIO(json.dumps(pairs).encode()), "fields.json")
    assert site.post(run_id="packed", source="form", fields=packed).status_code == 200
    assert site.conf("packed") == {"job": GOOD}


def test_a_job_as_text_or_as_a_file_starts_the_run(site: Site) -> None:
    assert site.post(run_id="text", source="text", job=json.dumps(GOOD)).status_code == 200
    assert site.post(run_id="old", job=json.dumps(GOOD)).status_code == 200
    imported = (io.BytesIO(json.dumps(GOOD).encode()), "job.yml")
    assert site.post(run_id="file", source="form", job_file=imported).status_code == 200
    assert [site.conf(run_id) for run_id in ("text", "old", "file")] == [{"job": GOOD}] * 3


def test_inputs_are_in_the_order_of_their_author_and_docs_are_harmless(site: Site) -> None:
    page = site.get()
    places = [page.index(f'id="in-{index}"') for index in range(6)]
    assert places == sorted(places)
    required = [bool(found) for found in re.findall(r'<div class="job-input"( data-first)?>', page)]
    assert required == [False, True, True, False, False, False]
    assert "Any <em>text</em>" in page
    assert "<script>alert" not in page
    assert "Default: <code>3</code>" in page
    assert re.search(r'<input[^>]*name="in-5"[^>]*type="password"', page)


def test_each_error_stands_beside_its_field(site: Site) -> None:
    fields = {"in-0": "kept", "in-2": "slow", "in-3": "many", "in-4-0-0": "1.5", "in-4-0-1": "/etc/passwd"}
    answer = site.post(source="form", **fields)
    assert answer.status_code == 422
    assert "required" in error_of(answer.text, "in-1")
    assert "one of fast, exact" in error_of(answer.text, "in-2")
    assert error_of(answer.text, "in-3") == "expected int?, but got the text 'many'"
    assert "expected int" in error_of(answer.text, "in-4-0-0")
    assert "not in a folder that inputs may come from" in error_of(answer.text, "in-4-0-1")
    assert re.search(r'aria-describedby="in-3-help in-3-err"[^>]*aria-invalid="true"', answer.text)
    assert 'href="#in-4-0-1"' in answer.text
    assert 'value="kept"' in answer.text


@pytest.mark.parametrize("location", ["../secret.txt", "link.txt", "file:///etc/passwd", "a\x00b", "x" * 5000])
def test_files_outside_of_the_allowed_folders_are_refused(site: Site, folders: Path, location: str) -> None:
    (folders / "inputs").mkdir(exist_ok=True)
    (folders / "secret.txt").write_text("s")
    (folders / "inputs/link.txt").symlink_to(folders / "secret.txt")
    answer = site.post(**{**FIELDS, "in-4-0-1": location})
    assert answer.status_code == 422
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"text": "x", "text": "y"}', "twice"),
        ("text: x\ntext: y", "twice"),
        ("text: " + "[" * 3000 + "]" * 3000, "nested"),
        ("text: x\nmode: fast\ncount: .nan", "expected int"),
        ('{"text": "x", "mode": "fast", "count": NaN}', "expected int"),
        ('{"text": "\\ud800", "mode": "fast"}', "surrogate"),
        ('{"text": "x", "\\ud800": 1}', "surrogate"),
        ("text: !!binary aGVsbG8=", "JSON does not have"),
        ("- a", "mapping"),
        ("{", "neither YAML nor JSON"),
    ],
)
def test_what_is_no_job_is_explained(site: Site, text: str, word: str) -> None:
    for answer in (site.post(source="text", job=text), site.post("/convert", source="text", job=text)):
        if answer.status_code != 200:
            assert answer.status_code == 422
            assert word in unfold(answer.text)
    answer = site.post(source="text", job=text)
    assert answer.status_code == 422
    assert "Traceback" not in answer.text


def test_wrong_types_of_a_text_are_shown_in_the_form(site: Site) -> None:
    wrong = {"text": {"a": 1}, "mode": 3, "count": "many", "reads": "x", "note": True}
    found = site.post("/convert", source="text", job=json.dumps(wrong)).get_json()
    assert json.loads(found["conf"]) == {"job": wrong}
    assert all(f'name="in-{index}-json"' in found["html"] for index in (0, 1, 2, 4))


def test_json_that_is_none_is_told_where_it_was_typed(site: Site) -> None:
    answer = site.post(**{**FIELDS, "in-rest-json": "{nothing"})
    assert answer.status_code == 422
    assert "no JSON" in error_of(answer.text, "in-rest")


def test_the_signed_conf_is_run_as_it_is(site: Site) -> None:
    conf = {"job": {**GOOD, "count": 5, "zz": [1.0, 10**30]}}
    answer = site.post(run_id="signed", conf=json.dumps(conf), check_payload="a.b.c", **FIELDS)
    assert answer.status_code in (200, 403), answer.text
    if answer.status_code == 200:
        assert site.conf("signed") == {**conf, "check_payload": "a.b.c"}


@pytest.mark.parametrize("conf", ["[]", "{", '{"job": 1}', '{"job": {}, "job": {}}', '{"job": {"text": "\\ud800"}}'])
def test_a_conf_that_is_none_is_refused(site: Site, conf: str) -> None:
    assert site.post(conf=conf, **FIELDS).status_code == 400


def test_a_form_of_a_replaced_workflow_keeps_what_fits(site: Site, add: Callable[..., Any]) -> None:
    new = (
        Parameter(id="mode", type="string"),
        Parameter(id="text", type="string"),
        Parameter(id="count", type=["null", "int"]),
    )
    add(site.dag_id, content="two", inputs=new)
    answer = site.post(run_id="late", **FIELDS, **{"in-3": "many"})
    page = unfold(answer.text)
    assert answer.status_code == 409
    assert "replaced by a new version" in page
    assert "count: what you gave" in page
    assert "reads: the new version has no such input" in page
    assert site.conf("late") is None
    site.digest = re.search(r'name="digest"[^>]*value="([^"]+)"', answer.text)[1]
    assert re.search(r'name="in-1"[^>]*value="x"', answer.text)
    assert site.post(run_id="late", **{"source": "form", "in-0": "fast", "in-1": "x"}).status_code == 200


def test_a_link_fills_the_form_and_a_damaged_one_says_so(site: Site) -> None:
    def link(text: str) -> str:
        return "?job=" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    page = site.get(link(json.dumps({**GOOD, "password": "hush", "note": "ä/ö"})))
    assert 'value="x"' in page
    assert 'value="ä/ö"' in page
    assert "hush" not in page
    assert "damaged" in site.get("?job=%%%")
    assert "too long" in site.get("?job=" + "a" * 9000)
    assert "twice" in site.get(link('{"text": 1, "text": 2}'))


def test_run_again_fills_the_form_without_secrets(site: Site) -> None:
    site.post(run_id="first", source="text", job=json.dumps({**GOOD, "password": "hush"}))
    page = site.get("?from_run=first")
    assert re.search(r'name="in-4-0-0"[^>]*value="1"', page)
    assert "hush" not in page
    found = site.post("/convert", source="text", job=json.dumps({**GOOD, "password": "hush"})).get_json()
    assert "hush" not in found["shared"]
    assert "hush" in found["conf"]


def test_what_is_too_large_is_refused(site: Site) -> None:
    page = (io.BytesIO(b"[]"), "fields.json")  # with a file, the form is sent as multipart
    assert site.post(source="form", fields=page, **{"in-1": "x" * 600_000}).status_code == 413
    large = (io.BytesIO(b"text: " + b"x" * (4 * 1024 * 1024)), "job.yml")
    assert site.post(source="text", job=large).status_code == 413
    many = (io.BytesIO(json.dumps([["in-0", "x"]] * 20_001).encode()), "fields.json")
    assert site.post(source="form", fields=many).status_code == 400


@pytest.mark.parametrize("content", [b"{}", b"[1]", b'[["in-0", 1]]', b"\xff", b"[" * 100_000])
def test_damaged_fields_are_refused(site: Site, content: bytes) -> None:
    for path in ("", "/convert"):
        assert site.post(path, source="form", fields=(io.BytesIO(content), "fields.json")).status_code == 400


def test_a_viewer_may_not_convert(browser: Callable[..., Any], site: Site) -> None:
    viewer = browser("viewer")
    viewer.set_cookie("session", site.client.get_cookie("session").value)
    assert viewer.post(f"{site.url}/convert", data={"csrf_token": site.token, "job": "a: 1"}).status_code == 403
