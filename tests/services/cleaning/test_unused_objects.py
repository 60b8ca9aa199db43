"""Objects that no run reads any more go, and those that a run uses, or begins to use meanwhile, stay."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.buckets import Buckets, buckets, refusing
from support.staged import BUCKET, Machines, file, folder, path_of
from support.staged import machines as machines

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.staging import marks, objects
from cwl_ui_plugin.dags.staging.results import Made
from cwl_ui_plugin.fetching.errors import FetchError
from cwl_ui_plugin.fetching.stored_objects import StoredObject
from cwl_ui_plugin.services.cleaning import unused_objects

LARGE = bytes(range(256)) * 400
WRITTEN = objects.written


@pytest.fixture(scope="module")
def buckets_server() -> Iterator[Buckets]:
    with buckets() as running:
        yield running


@pytest.fixture
def grown_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is in the store was written long ago."""
    monkeypatch.setattr(marks, "OLD_SECONDS", -1.0)
    monkeypatch.setattr(marks, "_LOOK_SECONDS", 0.05)


def put(machines: Machines, run: str, content: bytes) -> Any:
    task = machines.task("one", run=run)
    top = task.task.folder / "d"
    top.mkdir()
    (top / "large").write_bytes(content + LARGE)
    (task.task.folder / "f").write_bytes(content)
    return task.put([file(task.task.folder / "f"), folder(top)])


def put_file(machines: Machines, run: str) -> Any:
    task = machines.task("one", run=run)
    (task.task.folder / "f").write_bytes(b"same")
    return task.put(file(task.task.folder / "f"))


def swept(machines: Machines, *live: str) -> int:
    """Go through those parts of the store that have something."""
    machines.monkeypatch.setattr(unused_objects, "PARTS", sorted({key.split("/")[-2] for key in machines.names()}))
    return unused_objects.Sweep(lambda: [("dag", run) for run in live]).go_on()


def digests(machines: Machines) -> set[str]:
    return {key.rpartition("/")[2] for key in machines.names()}


@pytest.mark.usefixtures("grown_old")
def test_what_no_live_run_has_handed_on_goes(machines: Machines) -> None:
    kept, gone = put(machines, "kept", b"kept"), put(machines, "gone", b"gone")
    assert len(digests(machines)) == 6
    assert swept(machines, "kept", "gone") == 0
    assert swept(machines, "kept") == 3
    here = machines.task("two", run="kept").fetch(kept)
    assert path_of(here[0]).read_bytes() == b"kept"
    assert (path_of(here[1]) / "large").read_bytes() == b"kept" + LARGE
    assert hashlib.sha256(b"gone").hexdigest() not in digests(machines)
    assert not machines.names("sweeping/")
    assert len(machines.names("runs/")) == 1, "nothing is left of the other run"
    assert gone


def test_what_was_written_a_moment_ago_stays(machines: Machines) -> None:
    put(machines, "gone", b"gone")
    assert swept(machines) == 0
    assert len(digests(machines)) == 3
    assert machines.names("runs/"), "its run may have just been created"


@pytest.mark.parametrize("hours", [20, 25])
def test_what_a_run_uses_is_known_as_long_as_its_objects_stay(
    machines: Machines, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """A task that is cleared a day after its run has succeeded finds what it reads, if its objects were there then."""
    put(machines, "ended", b"kept")
    monkeypatch.setattr(objects, "written", later(hours))
    assert swept(machines) == (0 if hours == 20 else 3), "its run has succeeded"
    monkeypatch.setattr(objects, "written", later(25))
    assert swept(machines, "ended") == 0, "its task was cleared"
    assert len(digests(machines)) == (3 if hours == 20 else 0)


def later(hours: int) -> Callable[[StoredObject], datetime]:
    """Return what tells the time of the store as if so many hours had passed since all was written."""
    return lambda found: WRITTEN(found) + timedelta(hours=hours if found.address.key.endswith("clock") else 0)


@pytest.mark.usefixtures("grown_old")
def test_a_task_that_begins_meanwhile_keeps_its_objects_or_waits(machines: Machines) -> None:
    """At each request of a removal, a task of a new run puts the same content; afterwards another one can read it."""
    for at in range(1, 40):
        put_file(machines, "gone")
        seen: list[str] = []
        given: list[Any] = []
        thread = threading.Thread(target=lambda given=given: given.append(put_file(machines, "new")))

        def begin(
            environ: dict[str, Any],
            _start_response: Callable[..., Any],
            seen: list[str] = seen,
            at: int = at,
            thread: threading.Thread = thread,
        ) -> Iterable[bytes] | None:
            seen.append(environ["REQUEST_METHOD"])
            if len(seen) == at:
                machines.server.moods.clear()
                thread.start()
            return None

        machines.server.moods.append(begin)
        swept(machines, "new")
        machines.server.moods.clear()
        if not thread.ident:
            assert at > 5, seen
            break
        thread.join(120)
        here = machines.task("two", run="new").fetch(given[0])
        assert path_of(here).read_bytes() == b"same"
        machines.server.clear(BUCKET)
        for kept in machines.kept("two"):
            kept.unlink()
    else:
        pytest.fail("the removal has no end")


@pytest.mark.usefixtures("grown_old")
def test_nothing_goes_once_others_need_not_wait_any_more(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store is silent for a while when it is asked for an object, and the time is over."""
    put(machines, "gone", b"gone")

    def late(environ: dict[str, Any], _start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] == "HEAD" and "/sha256/" in environ["PATH_INFO"]:
            monkeypatch.setattr(marks, "SWEEP_SECONDS", -1.0)
        return None

    machines.server.moods.append(late)
    assert swept(machines) == 0
    assert len(digests(machines)) == 3
    assert marks.SWEEP_SECONDS == -1.0, "it was asked"
    assert not machines.names("sweeping/")


@pytest.mark.usefixtures("grown_old")
def test_others_go_on_waiting_while_an_object_may_go_yet(machines: Machines) -> None:
    put(machines, "gone", b"gone")

    def unanswered(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        is_removal = environ["REQUEST_METHOD"] == "DELETE" and "/sha256/" in environ["PATH_INFO"]
        return refusing("503 Slow Down")(environ, start_response) if is_removal else None

    machines.server.moods.append(unanswered)
    with pytest.raises(FetchError):
        swept(machines)
    machines.server.moods.clear()
    assert len(machines.names("sweeping/")) == 1
    assert swept(machines) == 3
    assert not machines.names("sweeping/"), "words that are old go"


@pytest.mark.usefixtures("grown_old")
def test_what_runs_have_said_is_read_once(machines: Machines) -> None:
    """However many live runs there are, each round reads what the ones before have not."""
    for name in ("a", "b", "c"):
        put(machines, name, name.encode())
    machines.monkeypatch.setattr(unused_objects, "PARTS", sorted({key.split("/")[-2] for key in machines.names()}))
    live = ["a", "b", "c"]
    sweep = unused_objects.Sweep(lambda: [("dag", run) for run in live])
    assert sweep.go_on() == 0
    assert len(machines.asked("GET", "/runs/")) == 3
    put(machines, "d", b"d")
    live.append("d")
    machines.server.asked.clear()
    assert sweep.go_on() == 0
    assert len(machines.asked("GET", "/runs/")) == 1
    live.remove("a")
    assert sweep.go_on() == 3, "what only that run has used"
    assert len(machines.asked("GET", "/runs/")) == 1


@pytest.mark.usefixtures("grown_old")
def test_nothing_goes_while_the_store_does_not_tell_what_is_used(machines: Machines) -> None:
    put(machines, "gone", b"gone")
    unread = marks.run_name("dag", "gone")
    for key in machines.names("runs/"):
        machines.server.client.put_object(Bucket=BUCKET, Key=key, Body=b"not JSON")
    assert unread in key
    with pytest.raises(ValueError, match="Expecting"):
        swept(machines, "gone")
    machines.server.moods.append(refusing("403 Forbidden", code="AccessDenied"))
    with pytest.raises(FetchError):
        unused_objects.Sweep(list).go_on()
    machines.server.moods.clear()
    assert len(digests(machines)) == 3


def test_without_such_a_store_nothing_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AIRFLOW__CWL__INTERMEDIATE_STORAGE", raising=False)
    assert unused_objects.Sweep(list).go_on() == 0


@pytest.mark.usefixtures("grown_old")
@pytest.mark.parametrize(("days", "left"), [(90.0, 1), (0.0, 1), (-1.0, 0)])
def test_outputs_for_reuse_stay_as_long_as_they_are_used(machines: Machines, days: float, left: int) -> None:
    number = config.number
    machines.monkeypatch.setenv("AIRFLOW__CWL__REUSE", "True")
    machines.monkeypatch.setattr(config, "number", lambda name: days if name == "keep_reuse_days" else number(name))
    task = machines.task("one", run="gone")
    results = task.results(TaskTry("dag", "gone", "count", -1, 1), None)
    (task.task.folder / "f").write_bytes(b"made")
    results.add(Made("key", "none", {"out": file(task.task.folder / "f")}, None))
    task.put(file(task.task.folder / "f"))
    assert len(machines.names("results/")) == 1
    assert swept(machines) == 1 - left
    assert not machines.names("results/"), "the run is over"
    assert (len(machines.names("reuse/")), len(machines.names())) == (left, left)
