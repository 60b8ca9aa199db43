"""Stores that are slow, busy, gone, or tell what is not so; tasks that are killed; disks that are full."""

from __future__ import annotations

import errno
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.buckets import refusing
from support.killed_requests import in_child, killing, silent
from support.staged import BUCKET, PREFIX, Machines, file, folder, path_of

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.dags.staging import cache, marks
from cwl_ui_plugin.storing import s3_uploads

READS = b"ACGT\n"
LARGE = bytes(range(256)) * 400
"""More than a folder's own object takes."""


class Stopped(Exception):
    """The run was stopped."""


def values(task: Any) -> dict[str, Any]:
    """A file, and a folder with a small and a large one."""
    top = task.task.folder / "made"
    (top / "d").mkdir(parents=True)
    (top / "f").write_bytes(READS)
    (top / "d" / "small").write_bytes(b"s")
    (top / "d" / "large").write_bytes(LARGE)
    return {"f": [file(top / "f"), "success"], "d": [folder(top / "d"), "success"]}


def check(here: Any) -> None:
    assert path_of(here["f"][0]).read_bytes() == READS
    there = path_of(here["d"][0])
    assert {path.name: path.read_bytes() for path in there.iterdir()} == {"small": b"s", "large": LARGE}


@pytest.mark.parametrize("doing", ["put", "fetch"])
def test_killed_at_any_request_the_next_try_does_it(machines: Machines, doing: str) -> None:
    one = machines.task("one")
    given = one.put(values(one)) if doing == "fetch" else None
    at, ending = 0, -signal.SIGKILL
    while ending == -signal.SIGKILL:
        at += 1
        assert at < 60
        child: list[int] = []
        seen: list[str] = []
        machines.server.moods[:] = [killing(at, child, seen)]
        if doing == "put":
            task = machines.task("one")
            made = values(task)
            ending = in_child(partial(task.put, made), child)
        else:
            for kept in machines.kept("two"):
                kept.unlink()
            task = machines.task("two")
            ending = in_child(partial(task.fetch, given), child)
        machines.server.moods.clear()
        again = machines.task("one" if doing == "put" else "two")
        handed_on = again.put(values(again)) if doing == "put" else given
        check(machines.task("three").fetch(handed_on) if doing == "put" else again.fetch(given))
    assert (ending, at > 3) == (0, True), seen


@pytest.mark.parametrize("doing", ["put", "fetch"])
def test_a_silent_store_is_left_when_the_run_is_stopped(machines: Machines, doing: str) -> None:
    one = machines.task("one")
    given = values(one)
    if doing == "fetch":
        given = one.put(given)
        one = machines.task("two")
    over = threading.Event()
    machines.server.moods.append(silent(over))

    def stop() -> None:
        if machines.server.asked and machines.server.asked[-1] != before:
            raise Stopped

    before = machines.server.asked[-1] if machines.server.asked else ""
    machines.on_wait = stop
    with pytest.raises(Stopped):
        one.put(given) if doing == "put" else one.fetch(given)
    over.set()
    assert not list(Path(one.task.folder).rglob("f*")) or doing == "put"


@pytest.mark.parametrize("doing", ["put", "fetch"])
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [("503 Slow Down", "SlowDown", "temporaryFail"), ("403 Forbidden", "AccessDenied", "permanentFail")],
)
def test_what_a_store_refuses_is_told(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, doing: str, status: str, code: str, kind: str
) -> None:
    monkeypatch.setattr(s3_uploads, "PAUSES", (0.0,))
    one = machines.task("one")
    given = values(one)
    if doing == "fetch":
        given = one.put(given)
        one = machines.task("two")
    machines.server.moods.append(refusing(status, code=code, message="the secret"))
    with pytest.raises(StepError) as failure:
        one.put(given) if doing == "put" else one.fetch(given)
    assert failure.value.kind == kind
    assert "the secret" not in str(failure.value)
    machines.server.moods.clear()
    assert one.put(given) if doing == "put" else one.fetch(given)


def test_an_object_that_is_gone_is_told_with_what_to_do(machines: Machines) -> None:
    one = machines.task("one")
    given = one.put(values(one))
    for key in machines.names():
        machines.server.client.delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(StepError, match="clear the task that has made it") as failure:
        machines.task("two").fetch(given)
    assert failure.value.kind == "temporaryFail", "a listing or an answer may be of an earlier time"


@pytest.mark.parametrize("damage", [b"", READS[:-1], READS + b"x", b"acgt\n"])
def test_an_object_that_is_another_is_noticed_and_put_anew(machines: Machines, damage: bytes) -> None:
    one = machines.task("one")
    value = file(one.task.folder / "f")
    path_of(value).write_bytes(READS)
    given = one.put(value)
    (key,) = machines.names()
    machines.server.client.put_object(Bucket=BUCKET, Key=key, Body=damage)
    two = machines.task("two")
    with pytest.raises(StepError) as failure:
        two.fetch(given)
    assert failure.value.kind == "temporaryFail"
    assert not machines.kept("two")
    again = machines.task("one")
    other = again.task.folder / "f"
    other.write_bytes(READS)
    again.put(file(other))
    assert path_of(two.fetch(given)).read_bytes() == READS


def test_two_tasks_may_put_and_fetch_the_same_at_once(machines: Machines) -> None:
    tasks = [machines.task("one") for _number in range(4)]
    made = [values(task) for task in tasks]
    given: list[Any] = []
    putting = [threading.Thread(target=lambda n=n: given.append(tasks[n].put(made[n]))) for n in range(4)]
    for thread in putting:
        thread.start()
    for thread in putting:
        thread.join(60)
    assert given == 4 * [given[0]]
    machines.server.asked.clear()
    readers = [machines.task("two") for _number in range(4)]
    here: list[Any] = []
    fetching = [threading.Thread(target=lambda task=task: here.append(task.fetch(given[0]))) for task in readers]
    for thread in fetching:
        thread.start()
    for thread in fetching:
        thread.join(60)
    for each in here:
        check(each)
    assert len(here) == 4
    assert len(machines.asked("GET")) == 3, "each object was fetched once"


@pytest.mark.parametrize("damage", ["written to", "cut", "removed", "a link", "a folder"])
def test_a_file_of_the_cache_that_somebody_has_damaged_is_fetched_anew(
    machines: Machines, damage: str, tmp_path: Path
) -> None:
    one = machines.task("one")
    given = one.put(values(one))
    machines.task("two").fetch(given)
    for kept in machines.kept("two"):
        if damage in ("written to", "cut"):
            kept.chmod(0o644)
            with kept.open("r+b") as out:
                out.write(b"X") if damage == "written to" else out.truncate(1)
            continue
        kept.unlink()
        if damage == "a link":
            kept.symlink_to(tmp_path / "elsewhere")
        if damage == "a folder":
            kept.mkdir()
    if damage == "a folder":
        with pytest.raises(StepError):
            machines.task("two").fetch(given)
        return
    check(machines.task("two").fetch(given))


def test_what_was_used_last_stays_in_the_cache(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    one = machines.task("one")
    given = []
    for number in range(6):
        path = one.task.folder / f"f{number}"
        path.write_bytes(bytes([number]) * 1000)
        given.append(one.put(file(path)))
    two = machines.task("two")
    here = [two.fetch(value) for value in given[:5]]
    for age, kept in enumerate(machines.kept("two")):
        os.utime(kept, ns=(age * 10**9, kept.stat().st_mtime_ns))
    machines.task("two").fetch(given[0])
    monkeypatch.setenv("AIRFLOW__CWL__INTERMEDIATE_CACHE_SIZE", "2500")
    machines.task("two").fetch(given[5])
    kept = {path.read_bytes()[0] for path in machines.kept("two")}
    assert kept == {0, 5}
    for number, item in enumerate(here):
        assert path_of(item).read_bytes() == bytes([number]) * 1000, "who reads it has it nevertheless"


def test_a_full_disk_is_given_room_once_and_is_told_then(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    one = machines.task("one")
    given = one.put(values(one))
    machines.task("two").fetch(given["f"])
    real = cache.Objects.fetch
    full = [1]

    def fetch(self: Any, *arguments: Any) -> None:
        if full[0]:
            full[0] -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(self, *arguments)

    monkeypatch.setattr(cache.Objects, "fetch", fetch)
    assert machines.task("two").fetch(given["d"])
    for kept in machines.kept("two"):
        kept.unlink()
    full[0] = 100
    with pytest.raises(StepError, match="No space left") as failure:
        machines.task("two").fetch(given["d"])
    assert failure.value.kind == "temporaryFail"


def test_a_task_waits_while_somebody_removes_objects_and_not_for_one_who_was_killed(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "_LOOK_SECONDS", 0.05)
    key = f"{PREFIX}/{marks.SWEEPING}/somebody"
    machines.server.put(BUCKET, key)
    one = machines.task("one")
    waited = []

    def on_wait() -> None:
        if len(machines.asked("GET", "list-type=2")) >= 3 and not waited:
            waited.append(list(machines.names()))
            machines.server.client.delete_object(Bucket=BUCKET, Key=key)

    machines.on_wait = on_wait
    one.put(values(one))
    assert waited == [[]], "nothing was put before"
    machines.server.put(BUCKET, key)
    monkeypatch.setattr(marks, "stale_seconds", lambda: 0.0)
    machines.on_wait = lambda: None
    began = time.monotonic()
    one.put({"g": file(_made(one, "g"))})
    assert time.monotonic() - began < 60


def whole_copies_refused(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
    """Answer as S3 does where an object of more than 5 GiB is to be copied at once."""
    is_copy, is_part = "HTTP_X_AMZ_COPY_SOURCE" in environ, "HTTP_X_AMZ_COPY_SOURCE_RANGE" in environ
    return refusing("400 Bad Request", code="InvalidRequest")(environ, start_response) if is_copy > is_part else None


def test_an_object_that_is_too_large_to_be_copied_at_once_is_written_anew_in_parts(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_uploads, "COPIED_BYTES", 5 * 1024 * 1024)
    one = machines.task("one")
    (one.task.folder / "f").write_bytes(LARGE * 110)
    given = one.put(file(one.task.folder / "f"))
    (key,) = machines.names()
    before = machines.server.client.head_object(Bucket=BUCKET, Key=key)
    machines.server.moods += [refusing("503 Slow Down", times=2), whole_copies_refused]
    monkeypatch.setattr(s3_uploads, "PAUSES", (0.0, 0.0, 0.0))
    one._objects.touch(key.removeprefix(f"{PREFIX}/"), lambda: None)
    machines.server.moods.clear()
    after = machines.server.client.head_object(Bucket=BUCKET, Key=key)
    assert after["ETag"] != before["ETag"], "it was written in other parts"
    assert after["Metadata"] == before["Metadata"]
    assert path_of(machines.task("two").fetch(given)).read_bytes() == LARGE * 110


def test_a_task_does_not_wait_for_removals_that_begin_later(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They see what the task has said; on a large store there is always one."""
    monkeypatch.setattr(marks, "_LOOK_SECONDS", 0.05)
    monkeypatch.setattr(marks, "SWEEP_SECONDS", -100.0)
    monkeypatch.setattr(marks, "stale_seconds", lambda: 105.0)
    words = [f"{PREFIX}/{marks.SWEEPING}/0"]
    machines.server.put(BUCKET, words[0])

    def another(environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        if "sweeping" in environ["QUERY_STRING"]:
            words.append(f"{PREFIX}/{marks.SWEEPING}/{len(words)}")
            machines.server.put(BUCKET, words[-1])
            machines.server.client.delete_object(Bucket=BUCKET, Key=words[-2])
        return None

    machines.server.moods.append(another)
    one = machines.task("one")
    assert one.put(values(one))
    assert machines.names(marks.SWEEPING)


def test_a_removal_counts_as_going_on_until_its_last_request_can_have_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__STORAGE_TIMEOUT", "600")
    assert marks.stale_seconds() > marks.SWEEP_SECONDS + 2 * 600


def _made(task: Any, name: str) -> Path:
    path = Path(task.task.folder, name)
    path.write_text(name)
    return path
