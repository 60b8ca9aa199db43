"""What a step has made is found in the store: by the run that goes on from its own, and by all where reuse is on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.staged import BUCKET, PREFIX, Machines, file, folder, path_of

from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.staging import marks

READS, COUNTED = b"ACGT\n", b"4\n"


class Identity:
    """A step's documents, which are the same for all tasks here."""

    digest = "what the step does"

    @staticmethod
    def plain(text: str) -> str:
        return text.replace("cwl:main.cwl#", "cwl:#")

    @staticmethod
    def full(name: str) -> str:
        return name.replace("cwl:#", "cwl:main.cwl#")


def put_inputs(machines: Machines, run: str, content: bytes = READS) -> Any:
    """The first task of a run: it hands on a file, and a folder that lists what is in it."""
    task = machines.task("first", run=run)
    reads = task.task.folder / "reads.txt"
    reads.write_bytes(content)
    inner = task.task.folder / "d" / "inner"
    inner.parent.mkdir()
    inner.write_bytes(content * 20_000)
    listed = folder(inner.parent, listing=[file(inner)])
    return json.loads(json.dumps(task.put({"reads": [file(reads), "success"], "d": [listed, "success"]})))


def count(
    machines: Machines, run: str, given: Any, machine: str = "one", continued: str | None = None
) -> tuple[bool, Any]:
    """A step of a run: return whether it was not run, and what the next task gets."""
    task = machines.task(machine, run=run)
    results = task.results(TaskTry("dag", run, "count", -1, 1), continued)
    kept = results.of_step(Identity(), Path("/nowhere"), "none", None)  # type: ignore[arg-type]
    key = kept.key(task.fetch(given))
    assert key is not None
    found = kept.take(key, task.task.folder)
    if found is None and kept.is_reusing:
        found = kept.reused(key)
    was_found = found is not None
    if found is None:
        made = task.task.folder / "out"
        made.mkdir()
        (made / "counted").write_bytes(COUNTED)
        (made / "large").write_bytes(COUNTED * 50_000)
        found = {"cwl:main.cwl#out": folder(made), "cwl:main.cwl#number": 4}
    kept.keep(key, found)
    handed_on = json.loads(json.dumps(task.put({name: [value, "success"] for name, value in found.items()})))
    return was_found, handed_on


def read(machines: Machines, run: str, values: Any) -> bytes:
    """What the next task of the run reads, on a machine that has seen nothing of it."""
    here = machines.task(f"reader of {run}", run=run).fetch(values)
    top = path_of(here["cwl:main.cwl#out"][0])
    assert (top / "large").read_bytes() == COUNTED * 50_000
    return (top / "counted").read_bytes()


@pytest.fixture
def reusing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REUSE", "True")


def test_a_run_that_goes_on_takes_over_what_the_failed_one_has_made_on_another_machine(machines: Machines) -> None:
    was_found, made = count(machines, "failed", put_inputs(machines, "failed"))
    assert not was_found
    given = put_inputs(machines, "mended")
    machines.server.asked.clear()
    was_found, taken = count(machines, "mended", given, "two", continued="failed")
    assert was_found
    assert taken == made
    assert machines.asked("PUT") == [], "nothing was sent again"
    assert read(machines, "mended", taken) == COUNTED
    was_found, taken = count(machines, "mended again", put_inputs(machines, "mended again"), "two", continued="mended")
    assert was_found, "what was taken over can be taken over"
    assert read(machines, "mended again", taken) == COUNTED


def test_what_differs_is_made_anew(machines: Machines) -> None:
    count(machines, "failed", put_inputs(machines, "failed"))
    other = put_inputs(machines, "mended", b"other")
    assert not count(machines, "mended", other, continued="failed")[0]
    same = put_inputs(machines, "new")
    assert not count(machines, "new", same)[0], "it goes on from no run"
    assert not count(machines, "new", same, continued="another")[0]


@pytest.mark.usefixtures("reusing")
def test_any_run_finds_what_another_has_made_where_reuse_is_on(machines: Machines) -> None:
    _was_found, made = count(machines, "one", put_inputs(machines, "one"))
    for run in ("two", "three"):
        was_found, found = count(machines, run, put_inputs(machines, run), "two")
        assert was_found
        assert found == made
        assert read(machines, run, found) == COUNTED
    assert len(machines.names("reuse/")) == 1, "what was reused is not kept again"


@pytest.mark.usefixtures("reusing")
@pytest.mark.parametrize("continued", ["one", None])
def test_a_step_whose_objects_are_gone_is_run_again_and_kept_again(machines: Machines, continued: str | None) -> None:
    given = put_inputs(machines, "one")
    before = set(machines.names())
    count(machines, "one", given)
    gone = next(key for key in set(machines.names()) - before if not key.endswith(".folder"))
    machines.server.client.delete_object(Bucket=BUCKET, Key=gone)
    assert not count(machines, "two", put_inputs(machines, "two"), continued=continued)[0]
    was_found, found = count(machines, "three", put_inputs(machines, "three"))
    assert was_found
    assert read(machines, "three", found) == COUNTED


@pytest.mark.usefixtures("reusing")
def test_what_is_used_again_counts_as_written_now(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    count(machines, "one", put_inputs(machines, "one"))
    given = put_inputs(machines, "two")
    monkeypatch.setattr(marks, "OLD_SECONDS", -1.0)
    machines.server.asked.clear()
    assert count(machines, "two", given)[0]
    copied = {asked.split(" ")[1].removeprefix(f"/{BUCKET}/") for asked in machines.asked("PUT", "/")}
    assert {*machines.names("reuse/")} <= copied
    assert {key for key in machines.names() if key.endswith(".folder")} & copied


@pytest.mark.parametrize(
    "record",
    [
        "no JSON",
        "[]",
        '{"outputs": {}}',
        '{"outputs": [], "objects": []}',
        '{"outputs": {"cwl:#out": {"class": "File", "location": "file:///etc/passwd"}}, "objects": []}',
        '{"outputs": {"cwl:#out": {"class": "File", "location": "s3://intermediate/cwl/runs/x"}}, "objects": []}',
        json.dumps(
            {
                "outputs": {
                    "cwl:#out": {"class": "File", "location": f"s3://{BUCKET}/{PREFIX}/sha256/aa/{'a' * 64}"},
                },
                "objects": [],
            }
        ),
        '{"outputs": {}, "objects": ["sha256/aa/gone"]}',
        '{"outputs": ' + "[" * 100_000,
    ],
    ids=lambda record: record[:60],
)
def test_a_record_that_is_none_has_the_step_run(machines: Machines, record: str) -> None:
    count(machines, "failed", put_inputs(machines, "failed"))
    (key,) = machines.names("results/")
    machines.server.put(BUCKET, key, record.encode())
    assert not count(machines, "mended", put_inputs(machines, "mended"), continued="failed")[0]
