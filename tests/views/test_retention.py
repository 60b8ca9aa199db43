"""What is kept how long, on the settings page and the page of a run; and who may see it, and have it removed."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.reports import removals
from cwl_ui_plugin.services import retention
from cwl_ui_plugin.services.inputs import single
from cwl_ui_plugin.services.retention import sizes


@pytest.fixture(autouse=True)
def own_folders(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REUSE_FOLDER", str(folders / "reuse"))


@pytest.fixture
def admin(browser: Callable[..., Any]) -> Any:
    return browser("admin")


@pytest.fixture
def post(admin: Any, csrf: Callable[[Any], str]) -> Iterator[Callable[[str], Any]]:
    """Press a button of the section as an administrator."""
    yield lambda what: admin.post(
        f"/cwl/settings/retention/{what}", data={"csrf_token": csrf(admin)}, follow_redirects=True
    )


@pytest.fixture
def upload(folders: Path) -> Path:
    """An upload that nobody has used for long."""
    path = single.save_input("reads.txt", io.BytesIO(b"x" * 50_000), user="<b>ada</b>")
    os.utime(path.parent, (0, 0))
    return path


def test_the_page_says_what_grows_and_how_long_it_is_kept(admin: Any, upload: Path) -> None:
    shown = " ".join(admin.get("/cwl/settings").text.split())
    for kind in retention.retention().kinds:
        assert kind.title in shown
        assert kind.measured is None
    assert "not measured" in shown
    assert "<code>keep_outputs_days</code>: for ever" in shown
    assert "<code>keep_uploads_days</code>: 30 days" in shown
    sizes.measure_now()
    shown = " ".join(admin.get("/cwl/settings").text.split())
    assert "not measured" not in shown
    assert "Measured <time" in shown
    (measured,) = [kind.measured for kind in retention.retention().kinds if kind.kind == "uploads"]
    assert measured is not None
    assert measured.files >= 1
    assert measured.bytes >= 50_000
    assert measured.total > measured.free > 0


def test_the_page_never_measures(admin: Any, upload: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store may have millions of files."""
    from cwl_ui_plugin.services.retention.trees import Measurer

    def refuse(*_arguments: Any) -> None:
        pytest.fail("the page walks through folders")

    monkeypatch.setattr(Measurer, "measure", refuse)
    assert admin.get("/cwl/settings").status_code == 200


def test_what_would_go_is_looked_at_and_removed(post: Callable[[str], Any], admin: Any, upload: Path) -> None:
    assert "Remove it now" not in admin.get("/cwl/settings").text
    looked = post("look")
    assert looked.status_code == 200
    assert "Would be removed now" in looked.text
    assert upload.parent.name in looked.text
    assert "Remove it now" in looked.text
    assert upload.exists()
    cleaned = post("clean")
    assert "Removed " in cleaned.text
    assert " in 1 files." in cleaned.text
    assert not upload.parent.exists()
    assert "Remove it now" not in post("look").text


def test_it_is_measured_when_asked_for(
    post: Callable[[str], Any], upload: Path, eventually: Callable[..., Any]
) -> None:
    assert "It is being measured" in post("measure").text
    assert eventually(lambda: retention.retention().measured_at and not retention.retention().is_measuring)


@pytest.mark.parametrize("what", ["look", "clean", "measure"])
def test_nothing_is_done_without_the_right_or_the_token(
    browser: Callable[..., Any], admin: Any, csrf: Callable[[Any], str], upload: Path, what: str
) -> None:
    for role in ("viewer", "user"):
        client = browser(role)
        token = csrf(admin)
        client.set_cookie("session", admin.get_cookie("session").value)
        assert client.post(f"/cwl/settings/retention/{what}", data={"csrf_token": token}).status_code == 403
    assert admin.post(f"/cwl/settings/retention/{what}").status_code == 400
    assert browser("op").get(f"/cwl/settings/retention/{what}").status_code in (404, 405)
    assert upload.exists()


def test_there_is_nothing_else_to_do(post: Callable[[str], Any]) -> None:
    assert post("everything").status_code == 404


def test_who_may_not_see_settings_sees_no_folders(browser: Callable[..., Any]) -> None:
    assert "Retention" not in browser("viewer").get("/cwl/settings").text


def test_an_option_that_can_not_be_read_is_said(admin: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__KEEP_OUTPUTS_DAYS", "<i>soon</i>")
    shown = " ".join(admin.get("/cwl/settings").text.split())
    assert "keep_outputs_days must be a number, not &#39;&lt;i&gt;soon&lt;/i&gt;&#39;." in shown


@pytest.mark.parametrize("content", ["", "{", "[]", '{"at": 3}', '{"at": "x", "seconds": 1, "kinds": [{}]}'])
def test_a_file_of_sizes_that_is_none_is_as_if_nothing_was_measured(admin: Any, folders: Path, content: str) -> None:
    (folders / "tmp/.control").mkdir(parents=True)
    (folders / "tmp/.control/sizes.json").write_text(content)
    assert "Nothing was measured yet." in admin.get("/cwl/settings").text


def test_a_run_says_what_is_gone_of_it(admin: Any, workflow: str, run_id: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    ended = datetime.now(timezone.utc) - timedelta(days=40)
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(state="success", end_date=ended))
    removals.note([(workflow, run_id)], removals.OUTPUTS, "keep_listed_outputs_days")
    shown = " ".join(admin.get(f"/cwl/run?dag_id={workflow}&run_id={run_id}").text.split())
    assert "The output files were removed <time" in shown
    assert "by retention option <code>keep_listed_outputs_days</code>" in shown
