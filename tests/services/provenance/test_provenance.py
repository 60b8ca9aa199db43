"""Where files come from and where they went: noted in the background, told only to those who may see the runs."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.reports.run_files import forget_gone
from cwl_ui_plugin.reports.tables import NotedRun, RunFile
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.provenance import hashing, noting, stories
from cwl_ui_plugin.services.provenance.run_files import IN, OUT, FoundFile
from cwl_ui_plugin.services.provenance.stories import FileStory

MAKES, USES, OTHER = "makes-files", "uses-files", "other-uses"
INPUTS = (Parameter(id="given", type=["null", "Any"]),)
Run = Callable[..., str]


@pytest.fixture
def dags(add: Callable[..., Any]) -> Iterator[None]:
    for dag_id in (MAKES, USES, OTHER):
        add(dag_id, inputs=INPUTS)
    yield
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        for table in (RunFile, NotedRun):
            session.execute(delete(table))
        session.execute(delete(DagRun).where(DagRun.dag_id.in_([MAKES, USES, OTHER])))


@pytest.fixture
def run(dags: None, folders: Path, airflow: Any) -> Run:
    """Let a run have been given files, and have made some: ``run(USES, [path], {"out.txt": "content"})``."""

    def of(dag_id: str, given: object = None, made: dict[str, str] | None = None) -> str:
        from cwl_ui_plugin.services.triggering import triggers

        access = InputAccess("ada", lambda _dag_id: True)
        job = {} if given is None else {"given": given}
        started = triggers.trigger(dag_id, conf={"job": job}, user="ada", via=triggers.REST, files=access)
        set_times(dag_id, started.run_id)
        if made:
            folder = folders / "outputs" / dag_id / started.run_id
            value = {f"made{number}": output(folder / name, text) for number, (name, text) in enumerate(made.items())}
            airflow.push(dag_id, started.run_id, "CWLJobGatherer", "return_value", value)
        return started.run_id

    return of


def set_times(dag_id: str, run_id: str, end: bool = True) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    now = datetime.now(timezone.utc)
    values = {"start_date": now, "end_date": now + timedelta(seconds=60) if end else None, "_state": "success"}
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id).values(**values))


def output(path: Path, text: str) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return {**file(path), "size": len(text), "checksum": checksum(text)}


def checksum(text: str) -> str:
    return f"sha1${hashlib.sha1(text.encode()).hexdigest()}"


def file(path: Path | str) -> dict[str, Any]:
    return {"class": "File", "location": Path(path).as_uri() if str(path).startswith("/") else str(path)}


def shared(folders: Path, name: str, text: str) -> Path:
    path = folders / "inputs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    old = time.time() - 1000
    os.utime(path, (old, old))
    return path


def told(dag_id: str, run_id: str, *readable: str, access: InputAccess | None = None) -> dict[str, FileStory]:
    who = access or InputAccess("ada", lambda asked: asked in readable)
    return {story.name: story for story in stories.stories_of_run(dag_id, run_id, who, {dag_id, *readable}).files}


def runs(uses: Any) -> list[str]:
    return [use.run_id for use in uses]


def work() -> None:
    while noting.work():
        pass


def test_an_output_leads_to_the_runs_that_used_it_and_back(run: Run, folders: Path) -> None:
    made = run(MAKES, made={"counts.txt": "1 2 3"})
    there = folders / "outputs" / MAKES / made / "counts.txt"
    used, again = run(USES, [file(there)]), run(USES, {"nested": file(there)})
    copied = run(OTHER, file(shared(folders, "copy.txt", "1 2 3")))
    different = run(OTHER, file(shared(folders, "else.txt", "something else")))
    work()
    output_story = told(MAKES, made, USES, OTHER)["counts.txt"]
    assert runs(output_story.made_by) == [made]
    assert runs(output_story.used_by) == [copied, again, used]
    assert output_story.used_by[0].name == "copy.txt"
    input_story = told(OTHER, copied, MAKES, USES)["copy.txt"]
    assert (input_story.checksum, input_story.size) == (checksum("1 2 3"), 5)
    assert runs(input_story.made_by) == [made]
    assert runs(told(OTHER, different, MAKES, USES)["else.txt"].made_by) == []


def test_runs_of_workflows_that_may_not_be_seen_are_neither_named_nor_counted(
    run: Run, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stories, "MAX_USES", 5)
    source = shared(folders, "a.txt", "same")
    mine, theirs = run(USES, file(source)), [run(OTHER, file(source)) for _number in range(6)]
    work()
    story = told(USES, mine)["a.txt"]
    assert (runs(story.used_by), story.is_cut) == ([mine], False)
    story = told(USES, mine, OTHER)["a.txt"]
    assert len(story.used_by) == 5
    assert story.is_cut
    assert set(runs(story.used_by)) <= set(theirs)


def test_a_file_that_one_may_not_open_is_not_known_by_its_content(run: Run, folders: Path) -> None:
    import io

    from cwl_ui_plugin.services.inputs import single

    sent = single.save_input("secret.txt", io.BytesIO(b"guess"), user="ada")
    os.utime(sent, (1, 1))
    hers = run(USES, file(sent))
    guess = run(OTHER, file(shared(folders, "guess.txt", "guess")))
    work()
    bob = InputAccess("bob", lambda _dag_id: True)
    story = told(OTHER, guess, USES, access=bob)["guess.txt"]
    assert runs(story.used_by) == [guess]
    story = told(USES, hers, OTHER, access=bob)["secret.txt"]
    assert (story.size, story.checksum, runs(story.used_by)) == (None, None, [hers])
    ada = told(OTHER, guess, USES)["guess.txt"]
    assert runs(ada.used_by) == [guess, hers]


def test_before_a_checksum_is_known_the_place_tells(run: Run, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__LINEAGE_MAX_HASHED_SIZE", "0")
    source, copy = shared(folders, "a.txt", "same"), shared(folders, "b.txt", "same")
    first, second, third = run(USES, file(source)), run(OTHER, file(source)), run(OTHER, file(copy))
    address = file("https://example.org/genome.fa")
    monkeypatch.setenv("AIRFLOW__CWL__ALLOW_NETWORK", "True")
    web, web_too = run(USES, address), run(OTHER, address)
    work()
    story = told(USES, first, OTHER)["a.txt"]
    assert (story.checksum, runs(story.used_by)) == (None, [second, first])
    assert third
    assert runs(told(USES, web, OTHER)["genome.fa"].used_by) == [web_too, web]


def test_a_file_that_was_changed_since_is_not_what_the_run_used(run: Run, folders: Path) -> None:
    source = shared(folders, "a.txt", "before")
    used = run(USES, file(source))
    source.write_text("after")
    os.utime(source, (time.time() + 500, time.time() + 500))
    work()
    assert told(USES, used)["a.txt"].checksum is None


def test_a_file_that_changes_before_it_is_read_gets_no_checksum(run: Run, folders: Path) -> None:
    source = shared(folders, "a.txt", "before")
    used = run(USES, file(source))
    noting.note_some()
    assert told(USES, used)["a.txt"].is_read_later
    shared(folders, "a.txt", "after!")
    work()
    story = told(USES, used)["a.txt"]
    assert (story.checksum, story.is_read_later) == (None, False)


def test_a_file_is_read_once_however_many_runs_used_it(
    run: Run, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    checksum_of = hashing.checksum_of
    monkeypatch.setattr(
        hashing, "checksum_of", lambda location, key: read.append(location) or checksum_of(location, key)
    )
    source = shared(folders, "genome.fa", "ACGT")
    used = [run(USES, file(source)) for _number in range(3)]
    work()
    used.append(run(USES, file(source)))
    work()
    assert read == [str(source)]
    assert {told(USES, name)["genome.fa"].checksum for name in used} == {checksum("ACGT")}


def test_checksums_that_a_job_names_are_not_believed(run: Run, folders: Path) -> None:
    made = run(MAKES, made={"x": "result"})
    source = shared(folders, "a.txt", "mine")
    lying = run(USES, {**file(source), "checksum": checksum("result"), "size": 6})
    work()
    assert told(USES, lying)["a.txt"].checksum == checksum("mine")
    assert runs(told(MAKES, made, USES)["x"].used_by) == []


def test_nothing_is_read_that_no_run_may_use(run: Run, folders: Path, airflow: Any) -> None:
    """A job that Airflow's own button has started may name anything; it fails, and its files are not looked at."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import update

    outside = folders / "outside.txt"
    outside.write_text("secret")
    os.utime(outside, (1, 1))
    os.mkfifo(folders / "inputs/pipe")
    run_id = run(USES)
    conf = {"job": {"given": [file(outside), file("pipe"), file("../outside.txt"), file("x\0y"), file("x" * 9000)]}}
    with create_session() as session:
        session.execute(update(DagRun).where(DagRun.run_id == run_id).values(conf=conf))
    work()
    found = stories.stories_of_run(USES, run_id, InputAccess("ada", lambda _dag_id: True), {USES})
    assert found.state == stories.NOTED
    assert {(story.size, story.checksum) for story in found.files} == {(None, None)}


def test_a_run_that_ended_again_is_noted_again(run: Run, folders: Path, airflow: Any) -> None:
    made = run(MAKES, made={"x": "one"})
    work()
    assert set(told(MAKES, made)) == {"x"}
    set_times(MAKES, made, end=False)
    assert stories.stories_of_run(MAKES, made, shared_only(), {MAKES}).state == stories.WAITING
    value = {"y": output(folders / "outputs" / MAKES / made / "y", "two")}
    airflow.push(MAKES, made, "CWLJobGatherer", "return_value", value)
    set_times(MAKES, made)
    work()
    assert set(told(MAKES, made)) == {"y"}


def delete_run(run_id: str) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(DagRun).where(DagRun.run_id == run_id))


def count(table: type) -> int:
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    with create_session() as session:
        return int(session.scalar(select(func.count()).select_from(table)) or 0)


def test_a_run_that_is_deleted_while_its_files_are_read_leaves_nothing(
    run: Run, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is held between having read the run's files and writing them."""
    made = run(MAKES, made={"x": "one"})
    is_read, may_write = threading.Event(), threading.Event()
    write = noting._write

    def held(*arguments: Any) -> bool:
        is_read.set()
        assert may_write.wait(30)
        return write(*arguments)

    monkeypatch.setattr(noting, "_write", held)
    writer = threading.Thread(target=noting.note_some)
    writer.start()
    assert is_read.wait(30)
    delete_run(made)
    may_write.set()
    writer.join(30)
    assert not writer.is_alive()
    assert (count(RunFile), count(NotedRun)) == (0, 0)


def test_rows_go_with_their_run(run: Run, folders: Path) -> None:
    source = shared(folders, "a.txt", "same")
    gone, stays = run(USES, file(source)), run(OTHER, file(source))
    work()
    delete_run(gone)
    assert runs(told(OTHER, stays, USES)["a.txt"].used_by) == [stays]
    assert forget_gone() == 1
    assert (count(RunFile), count(NotedRun), forget_gone()) == (1, 1, 0)


def test_a_job_that_can_not_be_read_holds_up_no_other(run: Run, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad, good = run(USES, file(shared(folders, "a.txt", "x"))), run(USES, file(shared(folders, "b.txt", "y")))
    job_of = noting.run_inputs.job_of

    def failing(dag_id: str, run_id: str) -> dict[str, object]:
        if run_id == bad:
            raise ValueError("damaged")
        return job_of(dag_id, run_id)

    monkeypatch.setattr(noting.run_inputs, "job_of", failing)
    work()
    assert stories.stories_of_run(USES, bad, shared_only(), {USES}).state == stories.PARTLY
    assert set(told(USES, good)) == {"b.txt"}


def test_many_files_are_noted_up_to_a_bound(run: Run, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cwl_ui_plugin.services.provenance.run_files.MAX_FILES", 5)
    monkeypatch.setattr(noting, "MAX_FILES", 5)
    made = run(MAKES, made={f"f{number}": str(number) for number in range(9)})
    work()
    found = stories.stories_of_run(MAKES, made, shared_only(), {MAKES}, direction=OUT, offset=3)
    assert (found.state, found.total, len(found.files)) == (stories.PARTLY, 5, 2)
    assert stories.stories_of_run(MAKES, made, shared_only(), {MAKES}, direction=IN).total == 0


def test_a_run_that_cannot_be_noted_keeps_no_other_from_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    older, newer = run(USES), run(USES)
    really = noting._write

    def failing(ended: noting.EndedRun, *rest: Any) -> bool:
        if ended.run_id == newer:
            raise ValueError("no such text")
        return really(ended, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(noting, "_write", failing)
        patch.setattr(noting, "RUNS_AT_ONCE", 1)
        assert [noting.note_some() for _round in range(3)] == [1, 1, 0]
    assert [stories.is_noted(USES, name) for name in (older, newer)] == [True, False]
    monkeypatch.setattr(noting._put_aside, "seconds", 0)
    noting.note_some()
    assert stories.is_noted(USES, newer)


def test_names_of_any_bytes_can_be_stored_and_are_read_by_nobody() -> None:
    now = datetime.now(timezone.utc)
    ended = noting.EndedRun(1, USES, "run", now, now)
    found = FoundFile(IN, "port\0", "name", "/inputs/caf\udce9.txt", state_key="x", size=1)
    row = noting._row(ended, 0, found, {}, 10)
    assert (row["port"], row["location"], row["waits"]) == ("port", "/inputs/caf?.txt", False)
    assert noting._row(ended, 0, replace(found, location="/inputs/a.txt"), {}, 10)["waits"]
