"""Files that a run needs no more, while tasks are cleared, fail or begin, and while who removes them is killed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.unread_run import CHAIN, Run

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.dags.folders import intermediate, run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.services.cleaning import unread_files
from cwl_ui_plugin.services.cleaning.unread_files import Instance, Standing


@pytest.fixture
def chain(begin: Callable[..., Run]) -> Run:
    """A run whose first two steps of four have ended, and nothing is removed yet."""
    run = begin(CHAIN, removes=False)
    run.steps(run.plan.steps[:2], run.values)
    return run


def test_a_failed_task_keeps_what_it_has_read(chain: Run) -> None:
    for state in ("failed", "up_for_retry", "running", "upstream_failed"):
        chain.instances["b", -1] = Instance("b", -1, 1, state)
        chain.remove()
        assert chain.left() == {"a", "b"}, state


def test_the_folder_of_an_earlier_try_stays_until_the_end(chain: Run) -> None:
    chain.instances["a", -1] = Instance("a", -1, 2, "success")
    chain.remove()
    assert chain.left() == {"a", "b"}


def test_logs_stay_where_files_go(chain: Run) -> None:
    (chain.folder / "a/-1/1/stdout.log").write_text("printed")
    chain.remove()
    assert chain.left() == {"b"}
    assert (chain.folder / "a/-1/1/stdout.log").read_text() == "printed"


def test_nothing_goes_where_what_a_task_has_handed_on_is_not_known(chain: Run) -> None:
    del chain.handed_on["b", -1]
    with pytest.raises(ValueError, match="not known"):
        chain.remove()
    assert chain.left() == {"a", "b"}


def test_a_folder_above_all_that_is_handed_on_keeps_all(chain: Run) -> None:
    chain.handed_on["b", -1] = _as(chain.handed_on["b", -1], {"class": "Directory", "location": chain.folder.as_uri()})
    chain.remove()
    assert chain.left() == {"a", "b"}


def test_a_link_to_a_link_keeps_both(chain: Run, tmp_path: Path) -> None:
    out = next(chain.folder.glob("a/-1/1/out_*/a")).parent
    made = next(chain.folder.glob("b/-1/1/out_*/b")).parent
    (made / "b").unlink()
    (out / "relative").symlink_to("../" + out.name + "/a")
    (made / "b").symlink_to(out / "relative")
    chain.remove()
    assert (made / "b").exists()
    assert (out / "a").exists()


def test_a_link_in_the_place_of_a_folder_is_not_followed(chain: Run, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "1/out_x").mkdir(parents=True)
    (elsewhere / "1/out_x/precious").write_text("kept")
    task = chain.folder / "a"
    (task / "-1").rename(tmp_path / "moved")
    (task / "-1").symlink_to(elsewhere)
    chain.remove()
    assert (elsewhere / "1/out_x/precious").read_text() == "kept"


def test_what_a_link_leads_to_stays_when_the_link_goes(chain: Run, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("kept")
    out = next(chain.folder.glob("a/-1/1/out_*"))
    (out / "folder").symlink_to(precious)
    (out / "new\nline\udcff").write_text("odd")
    chain.remove()
    assert chain.left() == {"b"}
    assert (precious / "file").read_text() == "kept"


def test_a_task_that_is_cleared_while_files_are_removed_keeps_them(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was cleared after it was looked at, and before the word was written that files are being removed."""
    asked: list[Standing] = [chain.standing()]
    cleared = replace(asked[0], ended=frozenset(one for one in asked[0].ended if one.task_id != "b"))
    monkeypatch.setattr(unread_files, "standing_of", lambda _run: asked.pop() if asked else cleared)
    assert chain.remove() is None
    assert chain.left() == {"a", "b"}
    check(chain)


def test_a_process_that_is_left_of_a_task_keeps_its_files(chain: Run) -> None:
    with run_folder.lease(TaskTry(*chain.run, "b", -1, 1), 1):
        assert chain.remove() is None
    assert chain.left() == {"a", "b"}


def check(run: Run, task: str = "b") -> None:
    """Do what a task does that begins: it reads what ``a`` has made."""
    intermediate.check_there(TaskTry(*run.run, task, -1, 2), run.handed_on["a", -1], f"Step {task}")


def test_a_task_whose_files_are_gone_says_which_task_to_clear(chain: Run) -> None:
    check(chain)
    chain.remove()
    with pytest.raises(StepError, match=r"Step b needs a, which the task a has made.* Clear a, too.*keep_intermediate"):
        check(chain)


def test_a_file_that_was_never_there_is_not_said_to_be_removed(chain: Run) -> None:
    next(chain.folder.glob("a/-1/1/out_*/a")).unlink()
    check(chain)


def test_a_task_waits_while_files_are_removed(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 2:
            finished.__exit__(None, None, None)

    monkeypatch.setattr(intermediate.time, "sleep", sleep)
    finished = intermediate.removing(*chain.run)
    finished.__enter__()
    check(chain)
    assert len(waited) == 2


def test_the_word_of_somebody_who_was_killed_grows_old(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    intermediate.removing(*chain.run).__enter__()
    monkeypatch.setattr(intermediate, "STALE_SECONDS", 0.0)
    check(chain)
    monkeypatch.undo()


def test_who_was_overtaken_or_is_too_slow_removes_nothing(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with intermediate.removing(*chain.run) as holds:
        assert holds()
        with intermediate.removing(*chain.run) as of_another:
            assert not holds()
            assert of_another()
    monkeypatch.setattr(intermediate, "MAX_REMOVING_SECONDS", 0.0)
    assert chain.remove() is None
    assert chain.left() == {"a", "b"}


def test_what_was_put_aside_before_a_kill_goes_with_the_next_round(chain: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(intermediate, "empty_bins", lambda _place: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            chain.remove()
    assert list(chain.folder.glob("a/-1/1/.removed-*"))
    chain.remove()
    assert not list(chain.folder.glob("a/-1/1/.removed-*"))
    with pytest.raises(StepError, match="is gone"):
        check(chain)


def test_the_end_of_a_run_removes_the_word_of_a_removal(chain: Run) -> None:
    intermediate.removing(*chain.run).__enter__()
    run_folder.remove_run_tmp(*chain.run)
    assert not chain.folder.exists()
    assert not intermediate._word(*chain.run).parent.exists()


def test_files_that_tools_change_in_place_stay(begin: Callable[..., Run]) -> None:
    run = begin("hints: {InplaceUpdateRequirement: {inplaceUpdate: true}}\n" + CHAIN)
    run.steps(run.plan.steps, run.values)
    assert run.after["last"] == {"a", "b", "c", "last"}


def _as(handed_on: dict[str, Any], value: Any) -> dict[str, Any]:
    return {key: [value, "success"] for key in handed_on}
