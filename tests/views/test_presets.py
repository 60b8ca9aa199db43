"""Presets on the pages: the control above the form of a run, and the page of all of them."""

from __future__ import annotations

import html
import io
import re
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.presets import presets
from cwl_ui_plugin.services.presets.models import Preset

NAME = "<b>Usual</b> “inputs”"


@pytest.fixture
def post(browser: Callable[..., Any], csrf: Callable[[Any], str], workflow: str) -> Callable[..., Any]:
    """Send a form to the presets of ``workflow``: ``post("/import", role="user", field=value)``."""

    def send(below: str = "", role: str = "admin", as_script: bool = False, **fields: Any) -> Any:
        client = browser(role)
        headers = {"X-Requested-With": "XMLHttpRequest"} if as_script else {}
        data = {**fields, "csrf_token": csrf(client) if role == "admin" else token_of(client, workflow)}
        return client.post(f"/cwl/workflows/{workflow}/presets{below}", data=data, headers=headers)

    return send


def token_of(client: Any, dag_id: str) -> str:
    """Return the CSRF token of the form of a run; none where that is refused."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', client.get(f"/cwl/workflows/{dag_id}/run").text)
    return found.group(1) if found else ""


def save(dag_id: str, user: str = "the-admin", name: str = NAME, **more: Any) -> Preset:
    return presets.save_preset(dag_id, name, {"text": "a & b"}, user=user, **more).preset


def page(client: Any, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return re.sub(r"\s+", " ", answer.text)


def test_a_form_without_scripts_is_saved_and_started_from(
    post: Callable[..., Any], browser: Callable[..., Any], workflow: str, store: WorkflowStore
) -> None:
    digest = store.current(workflow).digest
    answer = post(preset_name=NAME, digest=digest, source="form", **{"in-0": "a & b"})
    assert answer.status_code == 302, answer.text
    [saved] = presets.list_presets(workflow, "the-admin")
    assert answer.location.endswith(f"/cwl/workflows/{workflow}/run?preset={saved.id}")
    text = page(browser("admin"), f"/cwl/workflows/{workflow}/run?preset={saved.id}")
    assert re.search(r'name="in-0"[^>]*value="a &amp; b"', text)
    assert f'<option value="{saved.id}" selected>{html.escape(NAME)}' in text
    assert "<b>Usual" not in text
    updated = post(f"/{saved.id}", preset_revision="1", digest=digest, source="form", **{"in-0": "new"})
    assert updated.status_code == 302
    assert presets.get_preset(workflow, saved.id, "the-admin").job == {"text": "new"}


def test_a_script_is_answered_with_the_control(post: Callable[..., Any], workflow: str) -> None:
    conf = '{"job": {"text": "x", "output_folder": "mine", "big": 1180591620717411303424}}'
    answer = post(as_script=True, preset_name="Usual", preset_shared="yes", conf=conf)
    assert answer.status_code == 200, answer.text
    assert "Saved: “Usual”, shared" in re.sub(r"\s+", " ", answer.json["html"])
    assert "output_folder" in answer.json["html"]
    [saved] = presets.list_presets(workflow, "somebody")
    assert presets.get_preset(workflow, saved.id, "somebody").job == {"text": "x", "big": 2**70}
    again = post(as_script=True, preset_name="usual", preset_shared="yes", conf=conf)
    assert (again.status_code, "already" in again.json["detail"]) == (409, True)
    bad = post(as_script=True, preset_name="Other", source="text", job="- not\n- a job")
    assert (bad.status_code, "mapping" in bad.json["detail"]) == (400, True)


def test_what_does_not_fit_the_version_is_said(
    browser: Callable[..., Any], workflow: str, store: WorkflowStore
) -> None:
    preset = save(workflow)
    add_version(store, workflow, plan_of("sort", inputs=(Parameter("text", "int"),)), "two")
    text = page(browser("admin"), f"/cwl/workflows/{workflow}/run?preset={preset.id}")
    assert "was saved for another version of this workflow" in text
    assert "text: what was saved is not of the type that this version asks for" in text
    assert "a &amp; b" not in text


def test_a_preset_that_is_not_there_is_said(browser: Callable[..., Any], workflow: str) -> None:
    of_another = save(workflow, user="bob")
    for preset_id in ("0" * 32, of_another.id, "../x"):
        text = page(browser("admin"), f"/cwl/workflows/{workflow}/run?preset={preset_id}", 404)
        assert "You have no preset" in text
        assert "a &amp; b" not in text


def test_the_page_of_all_of_them(post: Callable[..., Any], browser: Callable[..., Any], workflow: str) -> None:
    address = f"/cwl/workflows/{workflow}/presets"
    assert "There are no presets of this workflow yet" in page(browser("user"), address)
    mine = save(workflow, user="the-user")
    shared = save(workflow, user="ada", name="Of Ada", is_shared=True)
    text = page(browser("user"), address)
    assert html.escape(NAME) in text
    assert "<b>Usual" not in text
    assert "Shared by ada" in text
    assert f"{workflow}/presets/{mine.id}/job?format=yaml" in html.unescape(text)
    may_change = [f"/presets/{item.id}/edit" in text for item in (mine, shared)]
    assert may_change == [True, True]  # with the simple auth manager, a user may edit Dags
    assert html.escape(NAME) not in page(browser("op"), address)
    renamed = post(f"/{mine.id}/edit", role="user", preset_name="New", preset_shared="yes", preset_revision="1")
    assert renamed.status_code == 302
    assert "Shared by you" in page(browser("user"), address)
    late = post(f"/{mine.id}/edit", role="user", preset_name="Newer", preset_revision="1")
    assert (late.status_code, "meanwhile" in late.text) == (409, True)
    assert post(f"/{mine.id}/delete", role="user").status_code == 302
    assert [item.name for item in presets.list_presets(workflow, "the-user")] == ["Of Ada"]


@pytest.mark.parametrize(
    ("content", "fields", "status", "said"),
    [
        (b"text: hello\n", {}, 302, "my sample"),
        (b'{"text": "hello"}', {"preset_name": "Another"}, 302, "Another"),
        (b"- text", {}, 422, "mapping"),
        (b"text: &a [*a]", {}, 422, "neither YAML nor JSON"),
        (b"\xff\xfe\x00", {}, 400, "UTF-8"),
        (b"text: x", {"preset_name": "\u202e"}, 400, "nobody sees"),
    ],
)
def test_a_job_file_is_brought(
    post: Callable[..., Any], workflow: str, content: bytes, fields: dict[str, str], status: int, said: str
) -> None:
    answer = post("/import", preset_file=(io.BytesIO(content), "my sample.yml"), **fields)
    assert answer.status_code == status, answer.text
    found = [item.name for item in presets.list_presets(workflow, "the-admin")]
    if status == 302:
        assert found == [said]
    else:
        assert (said in html.unescape(answer.text), found) == (True, [])


def test_who_may_not_run_it_has_none(browser: Callable[..., Any], post: Callable[..., Any], workflow: str) -> None:
    shared = save(workflow, is_shared=True)
    assert browser("viewer").get(f"/cwl/workflows/{workflow}/presets").status_code == 403
    for below in ("", "/import", f"/{shared.id}", f"/{shared.id}/edit", f"/{shared.id}/delete"):
        assert post(below, role="viewer", preset_name="x").status_code in (400, 403)
    assert [item.name for item in presets.list_presets(workflow, "x")] == [NAME]


def test_secrets_are_not_kept(add: Callable[..., Any], browser: Callable[..., Any]) -> None:
    dag_id = f"secret-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=(Parameter("text", "string"), Parameter("password", "string", is_secret=True)))
    client = browser("user")
    data = {
        "csrf_token": token_of(client, dag_id),
        "preset_name": "x",
        "source": "text",
        "job": "{text: a, password: hush}",
    }
    answer = client.post(f"/cwl/workflows/{dag_id}/presets", data=data, headers={"X-Requested-With": "XMLHttpRequest"})
    assert "password: it is a secret" in answer.json["html"]
    [saved] = presets.list_presets(dag_id, "the-user")
    assert presets.get_preset(dag_id, saved.id, "the-user").job == {"text": "a"}
