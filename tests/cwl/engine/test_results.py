"""A run goes on from an earlier one: what is certainly the same is taken over, all else is run."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.compiled_run import BATCH, run_compiled

from cwl_ui_plugin.cwl import fingerprints
from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import results
from cwl_ui_plugin.cwl.engine.confines import Confines
from cwl_ui_plugin.cwl.engine.results import Earlier, Results
from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.fingerprints import RESULTS
from cwl_ui_plugin.cwl.jobs.types import FileRules
from cwl_ui_plugin.opened import Place

NOTE = 'echo "$1" >>$LOG; '
HEAD = """
cwlVersion: v1.2
class: Workflow
requirements:
  InlineJavascriptRequirement: {}
  ScatterFeatureRequirement: {}
  StepInputExpressionRequirement: {}
  SubworkflowFeatureRequirement: {}
"""


def tool(log: Path, script: str, *, out: Any = "stdout", **inputs: Any) -> dict[str, Any]:
    """A tool that writes its first argument into a log that is outside of all runs: how often it was run."""
    given = {name: {"type": kind, "inputBinding": {"position": at}} for at, (name, kind) in enumerate(inputs.items())}
    return {
        "class": "CommandLineTool",
        "baseCommand": ["sh", "-ec", NOTE.replace("$LOG", str(log)) + script, "sh"],
        "inputs": given,
        "outputs": {"out": out},
    }


class Runs:
    """Runs of versions of a workflow, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "ran.log"
        self.count = 0
        self.reads = folder / "inputs" / "reads.txt"
        self.reads.parent.mkdir()
        self.reads.write_text("b\na\n")

    def place(self, number: int) -> Path:
        return self.folder / f"run{number}"

    def file(self) -> dict[str, Any]:
        return {"class": "File", "location": self.reads.as_uri(), "basename": "reads.txt"}

    def run(
        self,
        document: dict[str, Any],
        job: dict[str, Any],
        *,
        after: int | None = None,
        may_be_gone: bool = False,
        main: str = "main.cwl",
        confines: Confines | None = None,
        **files: str,
    ) -> dict[str, Any]:
        """Run a version; ``after`` is the run that it goes on from. Return the outputs."""
        self.count += 1
        version, place = self.folder / f"version{self.count}", self.place(self.count)
        (version / "source").mkdir(parents=True)
        (version / "source" / main).write_text(json.dumps({**yaml.safe_load(HEAD), **document}))
        for name, content in files.items():
            (version / "source" / name).write_text(content)
        compiling.compile_document(version / "source", main, version / "compiled")
        earlier = None
        if after is not None:
            earlier = Earlier(Place(self.place(after)), (self.place(after),), may_be_gone)
        known = Results((place,), "task", earlier=earlier)
        return run_compiled(
            version / "compiled",
            version / "source",
            job,
            place,
            results=known,
            **({"confines": confines} if confines else {}),
        )

    def fail(self, document: dict[str, Any], job: dict[str, Any], **more: Any) -> int:
        with pytest.raises(StepError):
            self.run(document, job, **more)
        return self.count

    def ran(self) -> list[str]:
        """Return what was run since it was asked last."""
        found = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return found

    def chain(self, last: str, sort: str = 'sort "$2"') -> dict[str, Any]:
        """``sort`` -> ``count`` -> ``last``."""
        return {
            "inputs": {"reads": "File"},
            "outputs": {"out": {"type": "File", "outputSource": "last/out"}},
            "steps": {
                "sort": {
                    "run": tool(self.log, sort, name="string", file="File"),
                    "in": {"name": {"default": "sort"}, "file": "reads"},
                    "out": ["out"],
                },
                "count": {
                    "run": tool(self.log, 'wc -l <"$2"', name="string", file="File"),
                    "in": {"name": {"default": "count"}, "file": "sort/out"},
                    "out": ["out"],
                },
                "last": {
                    "run": tool(self.log, last, name="string", file="File"),
                    "in": {"name": {"default": "last"}, "file": "count/out"},
                    "out": ["out"],
                },
            },
        }


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)


def content(output: dict[str, Any]) -> str:
    return Path(output["path"]).read_text()


def test_steps_that_did_not_change_are_not_run_again(runs: Runs) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    assert runs.ran() == ["sort", "count", "last"]
    outputs = runs.run(runs.chain('cat "$2"'), {"reads": runs.file()}, after=failed)
    assert (runs.ran(), content(outputs["out"]).strip()) == (["last"], "2")


def test_a_changed_step_is_run_with_all_that_its_change_changes(runs: Runs) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    runs.ran()
    runs.run(runs.chain('cat "$2"', sort='sort -r "$2"'), {"reads": runs.file()}, after=failed)
    assert runs.ran() == ["sort", "count", "last"]


def test_a_changed_step_that_makes_the_same_ends_the_change(runs: Runs) -> None:
    def document(last: str, sort: str) -> dict[str, Any]:
        made = runs.chain(last, sort)
        made["steps"]["sort"]["run"]["stdout"] = "sorted.txt"  # else cwltool draws a name, at which a tool may look
        return made

    failed = runs.fail(document("exit 3", 'sort "$2"'), {"reads": runs.file()})
    runs.ran()
    runs.run(document('cat "$2"', 'cat "$2" | sort'), {"reads": runs.file()}, after=failed)
    assert runs.ran() == ["sort", "last"]


def test_the_main_document_may_have_another_name(runs: Runs) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    runs.ran()
    runs.run(runs.chain('cat "$2"'), {"reads": runs.file()}, after=failed, main="fixed.cwl")
    assert runs.ran() == ["last"]


def test_a_run_goes_on_from_one_that_has_itself_gone_on(runs: Runs) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    again = runs.fail(runs.chain("exit 4"), {"reads": runs.file()}, after=failed)
    runs.place(failed).rename(runs.folder / "away")
    runs.ran()
    runs.run(runs.chain('cat "$2"'), {"reads": runs.file()}, after=again)
    assert runs.ran() == ["last"]


@pytest.mark.parametrize("change", ["content", "touched", "other place"])
def test_an_input_that_may_have_changed_is_read_again(runs: Runs, change: str) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    runs.ran()
    if change == "content":
        state = runs.reads.stat()
        runs.reads.write_text("c\nd\n")
        os.utime(runs.reads, ns=(state.st_atime_ns, state.st_mtime_ns))  # the time of its content does not tell
    elif change == "touched":
        runs.reads.touch()
    else:
        runs.reads = runs.reads.rename(runs.reads.with_name("other"))
    runs.run(runs.chain('cat "$2"'), {"reads": runs.file()}, after=failed)
    assert runs.ran()[0] == "sort"


def test_a_checksum_that_a_job_names_is_not_believed(runs: Runs) -> None:
    given = {**runs.file(), "checksum": "sha1$0", "size": 4}
    failed = runs.fail(runs.chain("exit 3"), {"reads": given})
    runs.ran()
    other = runs.reads.with_name("secret.txt")
    other.write_text("x\ny\n")
    runs.run(runs.chain('cat "$2"'), {"reads": {**given, "location": other.as_uri()}}, after=failed)
    assert "sort" in runs.ran()


def test_a_field_of_a_file_that_cwl_does_not_know_counts(runs: Runs) -> None:
    def document(last: str) -> dict[str, Any]:
        made = runs.chain(last, sort='sort "$2"; echo "$3"')
        made["steps"]["sort"]["run"]["arguments"] = [{"position": 9, "valueFrom": "$(inputs.file.metadata.sample)"}]
        return made

    failed = runs.fail(document("exit 3"), {"reads": {**runs.file(), "metadata": {"sample": "one"}}})
    runs.ran()
    runs.fail(document("exit 4"), {"reads": {**runs.file(), "metadata": {"sample": "one"}}}, after=failed)
    assert runs.ran() == ["last"]
    runs.fail(document("exit 4"), {"reads": {**runs.file(), "metadata": {"sample": "two"}}}, after=failed)
    assert runs.ran()[0] == "sort"


@pytest.mark.parametrize("how", ["content", "other size"])
def test_a_file_that_was_changed_after_its_step_is_not_taken_over(runs: Runs, how: str) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    runs.ran()
    record = next(path for path in (runs.place(failed) / RESULTS).glob("*") if "count/out" in path.read_text())
    (value,) = json.loads(record.read_text())["outputs"].values()
    made = Path(value["location"].removeprefix("file://"))
    state = made.stat()
    made.write_text("9\n" if how == "content" else "99\n")
    if how == "other size":
        os.utime(made, ns=(state.st_atime_ns, state.st_mtime_ns))
    outputs = runs.run(runs.chain('cat "$2"'), {"reads": runs.file()}, after=failed)
    assert (runs.ran(), content(outputs["out"]).strip()) == (["count", "last"], "2")


def test_a_folder_that_lost_a_file_after_its_step_is_not_taken_over(runs: Runs) -> None:
    def document(last: str) -> dict[str, Any]:
        made = runs.chain(last, sort="mkdir made; touch made/a made/b")
        made["steps"]["sort"]["run"]["outputs"]["out"] = {"type": "Directory", "outputBinding": {"glob": "made"}}
        made["steps"]["count"]["run"] = tool(runs.log, 'ls "$2" | wc -l', name="string", file="Directory")
        return made

    failed = runs.fail(document("exit 3"), {"reads": runs.file()})
    runs.ran()
    next((runs.place(failed) / "sort").rglob("made/b")).unlink()
    runs.run(document('cat "$2"'), {"reads": runs.file()}, after=failed)
    assert runs.ran()[0] == "sort"


def test_a_script_of_the_upload_counts_by_its_contents(runs: Runs) -> None:
    def document(last: str) -> dict[str, Any]:
        made = runs.chain(last)
        script = {"class": "File", "location": "script.sh"}
        made["steps"]["sort"]["in"]["also"] = {"default": script}
        made["steps"]["sort"]["run"]["inputs"]["also"] = "File"
        return made

    failed = runs.fail(document("exit 3"), {"reads": runs.file()}, **{"script.sh": "one"})
    runs.ran()
    runs.fail(document("exit 4"), {"reads": runs.file()}, after=failed, **{"script.sh": "one"})
    assert runs.ran() == ["last"]
    runs.run(document('cat "$2"'), {"reads": runs.file()}, after=failed, **{"script.sh": "two"})
    assert runs.ran()[0] == "sort"


@pytest.mark.parametrize(
    "more", [{"WorkReuse": {"enableReuse": False}}, {"InplaceUpdateRequirement": {"inplaceUpdate": True}}]
)
def test_a_document_can_say_no(runs: Runs, more: dict[str, Any]) -> None:
    def document(last: str) -> dict[str, Any]:
        made = runs.chain(last)
        made["steps"]["sort"]["run"]["requirements"] = more
        return made

    failed = runs.fail(document("exit 3"), {"reads": runs.file()})
    runs.ran()
    runs.run(document('cat "$2"'), {"reads": runs.file()}, after=failed)
    assert runs.ran()[0] == "sort"


def scattered(runs: Runs, script: str, last: str) -> dict[str, Any]:
    element = tool(runs.log, script, name="string")
    element["stdout"] = "$(inputs.name).txt"
    gathered = tool(runs.log, last, name="string", files="File[]")
    return {
        "inputs": {"names": "string[]"},
        "outputs": {"out": {"type": "File", "outputSource": "last/out"}},
        "steps": {
            "each": {"run": element, "scatter": "name", "in": {"name": "names"}, "out": ["out"]},
            "last": {"run": gathered, "in": {"name": {"default": "last"}, "files": "each/out"}, "out": ["out"]},
        },
    }


def test_elements_of_a_scatter_are_taken_over_one_by_one(runs: Runs) -> None:
    fails_on_c = 'echo "<$1>"; test "$1" != c'
    document = scattered(runs, fails_on_c, 'shift; cat "$@"')
    failed = runs.fail(document, {"names": ["a", "b", "c"]})
    runs.ran()
    outputs = runs.run(document, {"names": ["b", "x", "a"]}, after=failed)
    assert sorted(runs.ran()) == ["last", "x"]
    assert content(outputs["out"]).split() == ["<b>", "<x>", "<a>"]


def test_files_that_elements_share_are_looked_at_once(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    really = fingerprints._states
    monkeypatch.setattr(fingerprints, "_states", lambda path: looked.append(path) or really(path))
    element = tool(runs.log, "cat $2", name="string", file="File")
    given = {"name": "names", "file": "reads"}
    document = {
        "inputs": {"names": "string[]", "reads": "File"},
        "outputs": {"out": {"type": "File[]", "outputSource": "each/out"}},
        "steps": {"each": {"run": element, "scatter": "name", "in": given, "out": ["out"]}},
    }
    runs.run(document, {"names": [f"n{number}" for number in range(6)], "reads": runs.file()})
    assert looked == [runs.reads] * (6 // BATCH)


def test_a_subworkflow_folders_and_secondary_files_are_taken_over(runs: Runs) -> None:
    index = {"type": "File", "secondaryFiles": [".bai"], "outputBinding": {"glob": "*.bam"}}
    folder = {"type": "Directory", "outputBinding": {"glob": "made"}}

    def document(last: str) -> dict[str, Any]:
        inner = {
            "class": "Workflow",
            "inputs": {"name": "string"},
            "outputs": {
                "bam": {"type": "File", "outputSource": "bam/out"},
                "made": {"type": "Directory", "outputSource": "folder/out"},
            },
            "steps": {
                "bam": {
                    "run": tool(runs.log, "echo x >x.bam; echo y >x.bam.bai", out=index, name="string"),
                    "in": {"name": "name"},
                    "out": ["out"],
                },
                "folder": {
                    "run": tool(
                        runs.log, "mkdir -p made/deep made/none; echo z >made/deep/z", out=folder, name="string"
                    ),
                    "in": {"name": "name"},
                    "out": ["out"],
                },
            },
        }
        reader = tool(runs.log, last, name="string", bam="File", made="Directory")
        reader["inputs"]["bam"]["secondaryFiles"] = [".bai"]
        return {
            "inputs": {"name": "string"},
            "outputs": {"out": {"type": "File", "outputSource": "last/out"}},
            "steps": {
                "sub": {"run": inner, "in": {"name": "name"}, "out": ["bam", "made"]},
                "last": {
                    "run": reader,
                    "in": {"name": {"default": "last"}, "bam": "sub/bam", "made": "sub/made"},
                    "out": ["out"],
                },
            },
        }

    failed = runs.fail(document("exit 3"), {"name": "n"})
    runs.ran()
    outputs = runs.run(document('cat "$2" "$2.bai" "$3/deep/z"; test -d "$3/none"'), {"name": "n"}, after=failed)
    assert (runs.ran(), content(outputs["out"]).split()) == (["last"], ["x", "y", "z"])


def test_what_is_taken_over_stays_when_the_earlier_run_is_removed(runs: Runs) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    again = runs.fail(runs.chain("exit 4"), {"reads": runs.file()}, after=failed)
    for path in runs.place(failed).rglob("*"):
        if path.is_file():
            path.unlink()
    assert [path.read_text().strip() for path in runs.place(again).glob("count/taken/**/*") if path.is_file()] == ["2"]


def test_delivered_outputs_are_no_names_of_files_of_the_earlier_run(runs: Runs) -> None:
    def document(last: str) -> dict[str, Any]:
        made = runs.chain(last)
        made["outputs"]["sorted"] = {"type": "File", "outputSource": "sort/out"}
        return made

    failed = runs.fail(document("exit 3"), {"reads": runs.file()})
    outputs = runs.run(document('cat "$2"'), {"reads": runs.file()}, after=failed)
    delivered = Path(outputs["sorted"]["path"])
    with delivered.open("a") as file:
        file.write("edited")
    (source,) = (
        path
        for path in (runs.place(failed) / "sort").rglob("*")
        if path.is_file() and path.suffix != ".log" and path.name != "command.json"
    )
    assert "edited" not in source.read_text()


def remove(runs: Runs, number: int, step: str) -> None:
    """Remove the outputs of a step, as it is done once no task reads them any more."""
    for path in (runs.place(number) / step).rglob("*"):
        if path.is_file():
            path.unlink()


def test_a_step_whose_files_are_gone_is_run_again(runs: Runs) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    runs.ran()
    remove(runs, failed, "sort")
    runs.run(runs.chain('cat "$2"'), {"reads": runs.file()}, after=failed)
    assert runs.ran()[0] == "sort"


def test_files_that_nobody_will_read_may_be_gone(runs: Runs) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    runs.ran()
    remove(runs, failed, "sort")
    runs.run(runs.chain('cat "$2"'), {"reads": runs.file()}, after=failed, may_be_gone=True)
    assert runs.ran() == ["last"]


def test_files_that_go_while_they_are_taken_over_have_the_step_run(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    runs.ran()
    read = results._read

    def removing(folder: Place, key: str) -> tuple[dict[str, Any], int]:
        found = read(folder, key)
        if "sort/out" in next(iter(found[0])):
            remove(runs, failed, "sort")
        return found

    monkeypatch.setattr(results, "_read", removing)
    runs.run(runs.chain('cat "$2"'), {"reads": runs.file()}, after=failed)
    assert runs.ran()[0] == "sort"
    assert not list(runs.place(2).glob("sort/taken/*"))


@pytest.mark.parametrize("how", ["link", "elsewhere", "out", "broken"])
def test_nothing_is_taken_that_a_hostile_tool_has_put_there(runs: Runs, how: str) -> None:
    secret = runs.folder / "private" / "secret.txt"
    secret.parent.mkdir()
    secret.write_text("secret")
    failed = runs.fail(runs.chain("exit 3"), {"reads": runs.file()})
    runs.ran()
    _forge(runs, failed, how, secret)
    allowed = Confines(FileRules(runs.folder, (runs.reads.parent,)), (runs.place(2), runs.folder / "version2/source"))
    runs.run(runs.chain('cat "$2"'), {"reads": runs.file()}, after=failed, confines=allowed)
    assert runs.ran()[0] == "sort"
    assert "secret" not in "".join(path.read_text() for path in runs.place(2).rglob("*") if path.is_file())


def _forge(runs: Runs, failed: int, how: str, secret: Path) -> None:
    (record,) = (path for path in (runs.place(failed) / RESULTS).glob("*") if "sort/out" in path.read_text())
    told = json.loads(record.read_text())
    (value,) = told["outputs"].values()
    made = Path(value["location"].removeprefix("file://"))
    if how == "link":
        made.unlink()
        made.symlink_to(secret)
    elif how == "elsewhere":
        value["location"] = secret.as_uri()
    elif how == "out":
        value["location"] = f"{runs.place(failed).as_uri()}/../private/secret.txt"
    record.write_text("{" if how == "broken" else json.dumps(told))


def test_a_full_disk_is_no_error_of_the_step(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: Any, **_more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(results.atomic, "write_text", full)
    assert runs.run(runs.chain('cat "$2"'), {"reads": runs.file()})
