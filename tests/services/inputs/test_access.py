"""Which files a user may use as inputs: what is shared, own uploads, outputs of workflows that they may see."""

from __future__ import annotations

import io
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.jobs.types import FileRules
from cwl_ui_plugin.dags.folders import claims
from cwl_ui_plugin.dags.folders.claims import Claim
from cwl_ui_plugin.services.errors import Conflict, InvalidJob, NotFound
from cwl_ui_plugin.services.inputs import browsing, owners, resumable, single
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.triggering import reruns, triggers


def access(owner: str | None, *dag_ids: str) -> InputAccess:
    return InputAccess(owner, lambda dag_id: dag_id in dag_ids)


def file(path: Path | str) -> dict[str, str]:
    return {"class": "File", "location": str(path)}


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    return path


@pytest.fixture
def shared(folders: Path) -> Path:
    return write(folders / "inputs/shared/a.txt")


@pytest.fixture
def sent(folders: Path) -> Path:
    """An upload of ada."""
    return single.save_input("a.txt", io.BytesIO(b"x"), user="ada")


@pytest.fixture
def made(folders: Path) -> Path:
    """An output of the Dag ``other``."""
    return write(folders / "outputs/other/run/a.txt")


def test_what_is_shared_is_for_everybody(shared: Path) -> None:
    assert shared_only().allows(shared)
    assert shared_only().allows(shared.parent, whole=True)


def test_an_upload_is_for_whoever_sent_it(sent: Path) -> None:
    assert access("ada").allows(sent)
    assert access("ada").allows(sent.parent, whole=True)
    assert not access("eve").allows(sent)
    assert not access(None).allows(sent)


def test_outputs_are_for_whoever_may_see_the_workflow(made: Path) -> None:
    assert access("eve", "other").allows(made)
    assert access("eve", "other").allows(made.parents[1], whole=True)
    assert not access("ada", "another").allows(made)


def test_an_output_folder_that_a_job_chose_is_for_whoever_may_see_the_workflow(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = folders / "results"
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUT_ROOTS", str(roots))
    chosen, unclaimed = write(roots / "mine/a.txt"), write(roots / "other/a.txt")
    claims.take(Claim("other", "r", str(chosen.parent), 0.0), roots)
    broken = write(roots / "broken/a.txt")
    claims.take(Claim("other", "s", str(broken.parent), 0.0), roots)
    claims._file(claims._key(broken.parent)).write_text("garbage")
    eve = access("eve", "other", "")
    assert eve.allows(chosen)
    assert eve.allows(chosen.parent, whole=True)
    assert eve.granted({"a": file(chosen)}) == (chosen.parent,)
    assert not access("eve", "another").allows(chosen)
    for place in (unclaimed, broken, roots, roots / "mine2/a.txt"):
        assert not eve.allows(place), place


@pytest.mark.parametrize("place", ["inputs", "inputs/uploads", "outputs", ".", "inputs/uploads/..", "inputs/link"])
def test_no_folder_with_files_of_others_is_for_anybody(
    folders: Path, sent: Path, made: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__INPUT_ROOTS", str(folders))
    (folders / "inputs/link").symlink_to(folders / "inputs/uploads")
    assert not access("ada", "other").allows(folders / place, whole=True)


@pytest.mark.parametrize("place", ["workflows/x", "tmp/x", "tmp/.control/x"])
def test_folders_of_the_plugins_own_are_for_nobody(folders: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__INPUT_ROOTS", str(folders))
    assert access("ada").allows(folders / "x")
    assert not access("ada", "x", "tmp").allows(folders / place)


def test_an_administrator_opens_what_is_nobodys(folders: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = write(folders / "inputs/uploads" / str(uuid.uuid4()) / "a.txt")
    assert not access("ada").allows(old)
    monkeypatch.setenv("AIRFLOW__CWL__INPUT_ROOTS", f"{old.parent}:{folders / 'outputs/other'}")
    assert access("ada").allows(old)
    assert access("ada").allows(made)
    assert not access("ada").allows(folders / "outputs/another/run/a.txt")


def test_a_link_in_a_shared_folder_leads_nowhere_else(folders: Path, shared: Path, sent: Path, made: Path) -> None:
    for number, target in enumerate((sent, made, made.parents[2])):
        link = shared.parent / str(number)
        link.symlink_to(target)
        assert not access("eve").allows(link)


def test_only_what_the_job_needs_is_granted(folders: Path, shared: Path, sent: Path, made: Path) -> None:
    job = {"a": [file(sent), {"b": file(made.as_uri())}], "c": file(shared), "d": file("gone.txt")}
    assert access("ada", "other").granted(job) == tuple(sorted((sent.parent, made.parents[1])))
    assert access("eve").granted(job) == ()


def test_the_folder_of_somebody_else_takes_no_uploads(sent: Path) -> None:
    folder = sent.parent.name
    for call in (
        lambda: single.save_input("b.txt", io.BytesIO(b"x"), user="eve", folder=folder),
        lambda: single.save_input("b.txt", io.BytesIO(b"x"), user="eve", folder=folder.upper()),
        lambda: resumable.start("b.txt", 1, user="eve", folder=folder),
    ):
        with pytest.raises(Conflict, match="not yours"):
            call()
    assert [path.name for path in sent.parent.iterdir()] == ["a.txt"]
    assert single.save_input("b.txt", io.BytesIO(b"x"), user="ada", folder=folder).exists()


def test_a_folder_from_before_owners_were_kept_becomes_nobodys(folders: Path) -> None:
    folder = str(uuid.uuid4())
    old = write(folders / "inputs/uploads" / folder / "a.txt")
    with pytest.raises(Conflict, match="not yours"):
        single.save_input("b.txt", io.BytesIO(b"x"), user="eve", folder=folder)
    assert owners.owner_of(folder) is None
    assert not access("eve").allows(old)


def test_of_two_that_want_a_folder_at_once_one_gets_it(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are held where they have seen that the folder is free."""
    folder, together = str(uuid.uuid4()), threading.Barrier(2)
    insert, got = owners._insert, []

    def insert_together(*args: str) -> bool:
        together.wait(10)
        return insert(*args)

    def claim(user: str) -> None:
        try:
            owners.claim(folder, user)
            got.append(user)
        except Conflict:
            pass

    monkeypatch.setattr(owners, "_insert", insert_together)
    threads = [threading.Thread(target=claim, args=(user,)) for user in ("ada", "eve")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [owners.owner_of(folder)]


def job_of(path: Path | str) -> dict[str, Any]:
    return {"text": "x", "file": file(path)}


def test_a_job_that_names_files_of_others_is_refused(workflow: str, folders: Path, sent: Path, made: Path) -> None:
    def start(path: Path | str, files: InputAccess | None = None) -> Any:
        conf = {"job": job_of(path)}
        return triggers.trigger(workflow, conf=conf, user="eve", via=triggers.REST, files=files)

    secondary = {**file(made), "secondaryFiles": [file(sent)]}
    for path in (sent, made, f"uploads/{sent.parent.name}/a.txt"):
        with pytest.raises(InvalidJob) as failure:
            start(path, access("eve"))
        assert [problem.input for problem in failure.value.problems] == ["file"]
    with pytest.raises(InvalidJob):
        triggers.check_job(workflow, {"text": "x", "file": secondary}, access("eve", "other"))
    assert start(made, access("eve", "other")).run_id
    assert start(sent, access("ada")).run_id


def test_a_run_of_somebody_else_is_run_again_only_with_files_that_are_ones_own(workflow: str, sent: Path) -> None:
    run_id = f"r-{uuid.uuid4()}"
    who = {"user": "ada", "via": triggers.REST, "files": access("ada")}
    triggers.trigger(workflow, conf={"job": job_of(sent)}, run_id=run_id, **who)
    with pytest.raises(InvalidJob, match="not yours"):
        reruns.run_again(workflow, run_id, user="eve", via=triggers.VIEW, files=access("eve", workflow))
    assert reruns.run_again(workflow, run_id, **who).run_id


def test_looking_around_shows_the_same(folders: Path, shared: Path, sent: Path, made: Path) -> None:
    eve, ada = access("eve", "other"), access("ada")
    asked = [str(path) for path in (shared, sent, made, sent.parents[1], folders / "inputs")]
    assert [path for path, seen in single.visible_inputs(asked, eve).items() if seen] == [str(shared), str(made)]
    assert [path for path, seen in single.visible_inputs(asked, ada).items() if seen] == [str(shared), str(sent)]
    assert [entry.name for entry in browsing.browse(ada, str(sent.parent)).entries] == ["a.txt"]
    assert [entry.name for entry in browsing.browse(eve, str(made.parent)).entries] == ["a.txt"]
    for path, user in ((sent.parent, eve), (made.parent, ada), (sent.parents[1], ada), (folders / "outputs", eve)):
        with pytest.raises(NotFound):
            browsing.browse(user, str(path))


def test_of_all_folders_that_hold_a_path_the_innermost_decides(tmp_path: Path) -> None:
    rules = FileRules(tmp_path, roots=(tmp_path, tmp_path / "a/b"), closed=(tmp_path / "a",))
    assert rules.allows(tmp_path / "x")
    assert not rules.allows(tmp_path / "a/x")
    assert rules.allows(tmp_path / "a/b/x")
    assert rules.allows(tmp_path / "a/b", whole=True)
    assert not rules.allows(tmp_path, whole=True)
    assert rules.root_of(tmp_path / "a/b/x") == tmp_path / "a/b"
