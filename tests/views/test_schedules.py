"""The page of a schedule: what it shows to whom, what it takes, and what it says of what is wrong."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from support.stored import add_version, plan_of

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.store import WorkflowStore

FORM = {"kind": "cron", "cron": "0 6 * * 1-5", "timezone": "Europe/Berlin", "source": "text", "job": 'text: "{{ ds }}"'}


@pytest.fixture
def post(browser: Callable[..., Any], csrf: Callable[[Any], str], workflow: str) -> Callable[..., Any]:
    """Send the form: ``post(field=value)``; ``below`` is a page below that of the schedule."""
    client = browser("admin")
    token = csrf(client)

    def send(below: str = "", by: Any = None, **fields: Any) -> Any:
        data = {**({} if below else FORM), **fields, "csrf_token": token}
        return client.post(f"/cwl/workflows/{workflow}/schedule{below}", data=data)

    send.client = client  # type: ignore[attr-defined]
    return send


def page(client: Any, dag_id: str, query: str = "") -> str:
    answer = client.get(f"/cwl/workflows/{dag_id}/schedule{query}")
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", answer.text)


def test_saved_shown_paused_and_removed(
    post: Callable[..., Any], browser: Callable[..., Any], workflow: str, store: WorkflowStore
) -> None:
    answer = post()
    assert answer.status_code == 302, answer.text
    saved = store.schedules(workflow).current()
    assert saved is not None
    assert (saved.settings, saved.job, saved.saved_by) == ({"cron": "0 6 * * 1-5"}, {"text": "{{ ds }}"}, "the-admin")
    for role in ("admin", "viewer"):
        text = page(browser(role), workflow)
        assert "At 06:00, Monday through Friday (Europe/Berlin)" in text
        assert text.count(" 06:00") >= 3
        assert ("Save the schedule" in text) == (role == "admin")
        assert "Schedule: 0 6 * * 1-5" in browser(role).get("/cwl/workflows").text
    assert post("/pause", paused="yes").status_code == 302
    assert "It is paused." in page(browser("viewer"), workflow)
    assert post("/pause", paused="no").status_code == 302
    assert post("/remove").status_code == 302
    assert "has no schedule" in page(browser("viewer"), workflow)


def test_what_somebody_else_has_saved_meanwhile_is_not_overwritten_unseen(
    post: Callable[..., Any], browser: Callable[..., Any], workflow: str, store: WorkflowStore
) -> None:
    def shown(text: str) -> str:
        return re.findall(r'name="shown"[^>]*value="([^"]*)"', text)[0]

    before = shown(page(browser("admin"), workflow))
    assert before == ""
    assert post(shown=before, cron="1 1 * * *").status_code == 302
    answer = post(shown=before, cron="2 2 * * *")
    assert answer.status_code == 409
    assert "changed by somebody else meanwhile" in answer.text
    assert 'value="2 2 * * *"' in answer.text
    saved = store.schedules(workflow).current()
    assert saved is not None and saved.settings == {"cron": "1 1 * * *"}
    assert shown(answer.text) == saved.digest
    assert post(shown=shown(answer.text), cron="2 2 * * *").status_code == 302


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"cron": "61 6 * * *"}, 400, "names no times"),
        ({"cron": ""}, 400, "five fields"),
        ({"timezone": "Mars/Base"}, 400, "is no time zone"),
        ({"catchup": "y"}, 400, "Give a start date"),
        ({"start_date": "soon"}, 400, "is no date"),
        ({"max_active_runs": "many"}, 400, "Not a valid integer"),
        ({"kind": "moon"}, 400, "Not a valid choice"),
        ({"kind": ""}, 400, ""),
        ({"kind": "assets"}, 400, "Choose from 1"),
        ({"job": "text: 5"}, 422, "expected string"),
        ({"job": "other: x"}, 422, "text"),
        ({"job": 'text: "{{ nope }}"'}, 422, "is undefined"),
        ({"job": "text: {{ ds }}"}, 422, "neither YAML nor JSON"),
        ({"job": "<script>alert(1)</script>"}, 422, "A job is a mapping"),
    ],
)
def test_what_is_wrong_is_said_and_what_was_written_stays(
    post: Callable[..., Any], workflow: str, store: WorkflowStore, fields: dict[str, str], status: int, said: str
) -> None:
    answer = post(**fields)
    assert answer.status_code == status, answer.text
    assert said in answer.text
    assert "<script>alert" not in answer.text
    if "cron" not in fields:
        assert 'value="0 6 * * 1-5"' in answer.text
    assert store.schedules(workflow).current() is None


def test_who_may_not_change_it_is_refused(
    post: Callable[..., Any],
    browser: Callable[..., Any],
    csrf: Callable[[Any], str],
    workflow: str,
    store: WorkflowStore,
) -> None:
    post()
    viewer, admin = browser("viewer"), browser("admin")
    token = csrf(admin)
    for below, data in (("", FORM), ("/pause", {"paused": "yes"}), ("/remove", {}), ("/preview", FORM)):
        address = f"/cwl/workflows/{workflow}/schedule{below}"
        assert viewer.post(address, data={**data, "csrf_token": token}).status_code in (400, 403)
        assert admin.post(address, data=data).status_code == 400, "without a token"
    saved = store.schedules(workflow).current()
    assert saved is not None
    assert not saved.is_paused


def test_the_preview_says_when(post: Callable[..., Any], workflow: str) -> None:
    found = post("/preview", **FORM)
    assert found.get_json()["text"] == "At 06:00, Monday through Friday (Europe/Berlin)"
    assert len(found.get_json()["times"]) == 3
    assert post("/preview", kind="preset", preset="@once").get_json()["times"] == []
    assert post("/preview", **{**FORM, "cron": "x"}).status_code == 400


def test_the_job_of_a_run_is_offered(post: Callable[..., Any], workflow: str, run_id: str) -> None:
    shown = page(post.client, workflow, f"?from_run={run_id}")  # type: ignore[attr-defined]
    assert 'value="x"' in shown
    assert page(post.client, workflow, "?from_run=no-such-run")  # type: ignore[attr-defined]


def test_where_only_signed_runs_are_allowed(
    browser: Callable[..., Any], workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    shown = page(browser("admin"), workflow)
    assert "nobody signs them" in shown
    assert "Save the schedule" not in shown


def test_a_version_that_does_not_fit_is_told_on_each_page(
    post: Callable[..., Any], browser: Callable[..., Any], workflow: str, add: Callable[..., Any]
) -> None:
    from cwl_ui_plugin.cwl.plan import Parameter
    from cwl_ui_plugin.services.scheduling.schedules import follow_version

    post()
    add(workflow, "two", inputs=(Parameter(id="words", type="string"),))
    follow_version(workflow)
    shown = page(browser("viewer"), workflow)
    assert "It starts nothing." in shown
    assert "words: this input is required" in shown
    assert "The schedule starts nothing" in browser("viewer").get(f"/cwl/workflows/{workflow}").text
    assert "(does not fit)" in browser("viewer").get("/cwl/workflows").text


def test_a_workflow_is_not_offered_its_own_outputs_nor_inputs_unless_they_are_chosen(
    browser: Callable[..., Any], csrf: Callable[[Any], str], store: WorkflowStore
) -> None:
    from cwl_ui_plugin.dags.registration import register

    one, other = (f"offered-{uuid.uuid4().hex[:8]}" for _ in range(2))
    plan = replace(plan_of("a", inputs=(Parameter("taken", ["null", "File"]),)), outputs=(Parameter("made", "File"),))
    for dag_id in (one, other):
        add_version(store, dag_id, plan, dag_id)
        register(dag_id)
    client = browser("admin")
    shown = page(client, one)
    assert shown.count(f'value="cwl://{other}/made"') == 2
    assert f"cwl://{one}/made" not in shown
    assert f"cwl://{other}/inputs/" not in shown

    fields = {**FORM, "kind": "assets", "of_assets": "any", "job": "{}", "csrf_token": csrf(client)}
    refused = client.post(f"/cwl/workflows/{one}/schedule", data={**fields, "assets": f"cwl://{one}/made"})
    assert refused.status_code == 400
    assert "would start itself for ever" in refused.text
    kept = client.post(f"/cwl/workflows/{one}/schedule", data={**fields, "assets": f"cwl://{other}/inputs/taken"})
    assert kept.status_code == 302
    assert re.search(rf'<option selected value="cwl://{other}/inputs/taken">', page(client, one))
