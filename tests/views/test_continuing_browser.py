"""Failed runs in a real browser: what is said first, going on, mending, and the report of resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Page, expect
from support.browsers import barriers, overflowing
from support.failed_run import Failed, document
from support.stored import BEGAN, push, set_run, set_task, spread

from cwl_ui_plugin.dags import names

pytestmark = pytest.mark.e2e
SMALL = {"width": 400, "height": 900}
COMMAND = ["sh", "-ec", "exit 3", "sh", "reads.txt"]
USED = {"seconds": 12.0, "cpu_seconds": 20.0, "peak_memory_bytes": 3 << 30, "asked_cores": 8.0, "asked_ram": 32768.0}


def told(**more: Any) -> dict[str, Any]:
    return {
        "message": f"Step last: the command exited with exit code 3: {' '.join(COMMAND)}",
        "kind": "permanentFail",
        "exit_code": 3,
        "stderr": "reading reads.txt\nOSError: No such file or directory: 'reads.bai'",
        "command": COMMAND,
        "used": USED,
        **more,
    }


@pytest.fixture
def show(open_page: Callable[..., Page], failed: Failed) -> Callable[..., Page]:
    """Open a page about the failed run: ``show("run/fix")``."""
    push(failed.dag_id, failed.run_id, "last", names.ERROR_KEY, told())

    def opened(path: str, role: str = "admin", options: dict[str, Any] | None = None, **query: Any) -> Page:
        asked = urlencode({"dag_id": failed.dag_id, "run_id": failed.run_id, **query})
        return open_page(f"/cwl/{path}?{asked}", role, **(options or {}))

    return opened


def test_what_was_printed_comes_first_and_the_command_once(show: Callable[..., Page]) -> None:
    page = show("run")
    failure = page.locator(".failure")
    texts = failure.inner_text()
    assert texts.index("No such file or directory") < texts.index("exited with exit code 3") < texts.index("What to do")
    assert failure.get_by_text("exit 3", exact=False).count() == 1
    expect(failure.get_by_label("Command of last")).to_be_hidden()
    failure.get_by_text("Command", exact=True).click()
    expect(failure.get_by_label("Command of last")).to_be_visible()
    expect(failure).to_contain_text("3.0 GiB of 32.0 GiB asked for")
    failure.get_by_text("Inputs of this step").click()
    expect(failure.get_by_role("link", name="count", exact=True)).to_be_visible()
    assert barriers(page) == []


def test_elements_that_failed_of_the_same_are_one_failure(show: Callable[..., Page], failed: Failed) -> None:
    spread(failed.dag_id, failed.run_id, "last", 40)
    set_task(failed.dag_id, failed.run_id, "last", state="failed")
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        for index in range(40):
            command = [*COMMAND[:-1], f"element {index}"]
            error = told(
                command=command,
                message=f"Step last: the command of element {index} exited with exit code 3: {' '.join(command)}",
                stderr="disk full" if index == 7 else f"element {index} has no reads",
            )
            key = {"dag_id": failed.dag_id, "run_id": failed.run_id, "task_id": "last", "map_index": index}
            XComModel.set(key=names.ERROR_KEY, value=error, session=session, serialize=False, **key)
    page = show("run", options={"viewport": SMALL})
    failures = page.locator(".failure")
    expect(failures).to_have_count(2)
    expect(failures.first).to_contain_text("39 of 40 elements of last failed with exit code 3")
    expect(failures.first.get_by_role("link", name="element 12", exact=True)).to_be_visible()
    expect(failures.first).to_contain_text("and 19 more")
    assert overflowing(page) == []


def test_a_run_goes_on_with_one_click(show: Callable[..., Page], failed: Failed) -> None:
    page = show("run")
    page.get_by_role("button", name="Continue", exact=True).press("Enter")
    expect(page.locator("#run-head .badge")).to_have_text("queued")
    assert failed.states()["last"] == "None"


def test_what_keeps_a_run_from_going_on_is_said_before(show: Callable[..., Page], failed: Failed) -> None:
    failed.remove("count")
    page = show("run")
    expect(page.get_by_text("what it would need is gone: out.txt (made by count)")).to_be_visible()
    expect(page.get_by_role("button", name="Continue", exact=True)).to_have_count(0)
    page.get_by_role("link", name="See what would not have to run again").click()
    expect(page.get_by_role("row", name="sort")).to_contain_text("taken over")


def test_who_may_only_read_has_no_buttons(show: Callable[..., Page]) -> None:
    page = show("run", "viewer")
    expect(page.locator(".failure")).to_be_visible()
    expect(page.get_by_role("button", name="Continue", exact=True)).to_have_count(0)
    expect(page.get_by_role("link", name="Fix and continue")).to_have_count(0)


def test_a_mended_version_is_uploaded_and_takes_over(show: Callable[..., Page], failed: Failed, tmp_path: Any) -> None:
    import json

    page = show("run")
    page.get_by_role("link", name="Fix and continue").click()
    expect(page.get_by_role("row", name="last")).to_contain_text("it had not succeeded")
    mended = tmp_path / "mended.cwl"
    mended.write_text(json.dumps(document('cat "$1"')))
    page.get_by_label("The mended workflow").set_input_files(str(mended))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_text("The new version is there.")).to_be_visible(timeout=60_000)
    expect(page.get_by_role("row", name="last")).to_contain_text("it was changed")
    assert barriers(page) == []
    page.get_by_role("button", name="Start the new run").click()
    expect(page.get_by_text("Goes on from")).to_be_visible()
    page.get_by_role("link", name=failed.run_id).click()
    expect(page.get_by_text("Taken over by")).to_be_visible()


def test_a_fault_in_the_mended_version_is_shown_there(show: Callable[..., Page], tmp_path: Any) -> None:
    page = show("run/fix")
    broken = tmp_path / "broken.cwl"
    broken.write_text("cwlVersion: v1.2\nclass: CommandLineTool\ninputs: {x: nothing}\noutputs: {}\n")
    page.get_by_label("The mended workflow").set_input_files(str(broken))
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert").first).to_contain_text("nothing", timeout=60_000)
    expect(page.get_by_role("button", name="Start the new run")).to_be_visible()


def test_the_report_of_resources_says_what_was_asked_for_in_vain(show: Callable[..., Page], failed: Failed) -> None:
    set_task(failed.dag_id, failed.run_id, "last", duration=20.0, start_date=BEGAN, pool_slots=8)
    page = show("run/resources", options={"viewport": {"width": 1440, "height": 900}})
    expect(page.get_by_role("row", name="last 1 time")).to_contain_text("32.0 GiB")
    expect(page.get_by_text("It asked for 32.0 GiB of memory and used 3.0 GiB at most.")).to_be_visible()
    expect(page.get_by_text("In all, cores were reserved for 2 min 40 s")).to_be_visible()
    expect(page.get_by_label("Suggestion for last")).to_have_text("ResourceRequirement:\n  coresMin: 2\n  ramMin: 3840")
    expect(page.get_by_role("row", name="sort")).to_contain_text("nothing, 1 too short or reused")
    assert barriers(page) == []
    page.set_viewport_size(SMALL)  # type: ignore[arg-type]
    assert overflowing(page) == []


def test_a_stopped_run_can_go_on_too(show: Callable[..., Page], failed: Failed) -> None:
    from cwl_ui_plugin.services.stopping import stops

    set_run(failed.dag_id, failed.run_id, "running")
    for task in ("sort", "count", "last", names.GATHERER):
        set_task(failed.dag_id, failed.run_id, task, state=None)
    stops.stop_run(failed.dag_id, failed.run_id, user="bob")
    page = show("run")
    expect(page.get_by_role("button", name="Continue", exact=True)).to_be_visible()
