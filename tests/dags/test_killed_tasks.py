"""A task may be killed at any moment: its next try makes the run what it would have been.

Every try is a process of its own, as Airflow's are. At the named moment it gets SIGKILL.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.dags.folders import run_folder

DOCUMENT = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, SubworkflowFeatureRequirement: {}}
inputs: {names: "string[]", given: File}
outputs:
  made: {type: File, outputSource: make/out}
  folders: {type: "Directory[]", outputSource: each/d}
  inner: {type: File, outputSource: sub/out}
  given: {type: File, outputSource: given}
steps:
  make:
    run: {class: CommandLineTool, baseCommand: [echo, made], inputs: {}, outputs: {out: stdout}, stdout: out.txt}
    in: []
    out: [out]
  each:
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'mkdir quant; cat $1 > quant/same.txt; echo $0 > quant/$0.txt']
      inputs:
        name: {type: string, inputBinding: {position: 1}}
        file: {type: File, inputBinding: {position: 2}}
      outputs: {d: {type: Directory, outputBinding: {glob: quant}}}
    in: {name: names, file: make/out}
    scatter: name
    out: [d]
  sub:
    in: {file: make/out}
    out: [out]
    run:
      class: Workflow
      inputs: {file: File}
      outputs: {out: {type: File, outputSource: copy/out}}
      steps:
        copy:
          run:
            class: CommandLineTool
            baseCommand: cat
            inputs: {file: {type: File, inputBinding: {}}}
            outputs: {out: stdout}
            stdout: out.txt
          in: {file: file}
          out: [out]
"""
DISPATCHER, GATHERER = "CWLJobDispatcher", "CWLJobGatherer"
COMMANDS = {"make", "each", "sub.copy"}
TASKS = ("CWLJobDispatcher", "make", "each.scatter", "each", "each.gather", "sub.inputs", "sub.copy", "sub", GATHERER)
# What is patched to die, before or after it did its work, and the tasks that come by.
MOMENTS: dict[str, tuple[str, bool, set[str]]] = {
    "folders are claimed": ("dags.folders.placement:hold", True, {DISPATCHER, GATHERER}),
    "tmp folder is placed": ("dags.folders.run_folder:place_run_tmp", True, {DISPATCHER}),
    "lease is written": ("dags.folders.run_folder:_write_lease", True, set(TASKS)),
    "job is checked": ("cwl.engine.execution:start", True, {DISPATCHER}),
    "command is to begin": ("cwl.engine.job_recorder:_note_command", True, COMMANDS),
    "command has ended": ("cwltool.command_line_tool:CommandLineTool.collect_output_ports", False, COMMANDS),
    "outputs are collected": ("cwl.engine.process_runs:check_outputs", True, COMMANDS),
    "outputs are kept for reuse": ("cwl.engine.reuse:keep", True, COMMANDS),
    "reuse is half kept": ("cwl.engine.outputs.placing:_publish", False, {*COMMANDS, GATHERER}),
    "elements are counted": ("cwl.engine.scattering:element_labels", True, {"each.scatter"}),
    "elements are gathered": ("cwl.engine.scattering:gather", True, {"each.gather"}),
    "subworkflow is entered": ("cwl.engine.nesting:enter", True, {"sub.inputs"}),
    "subworkflow is left": ("cwl.engine.nesting:leave", True, {"sub"}),
    "delivery is planned": ("cwl.engine.outputs.record:Record.plan", True, {GATHERER}),
    "something is delivered": ("cwl.engine.outputs.placing:Placer.place", True, {*COMMANDS, GATHERER}),
    "delivery is complete": ("cwl.engine.outputs.record:Record.complete", True, {*COMMANDS, GATHERER}),
    "values are ready": ("dags.handing_on:packed", True, set(TASKS) - {"each.scatter"}),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, airflow_home: Path) -> Iterator[Any]:
    """The Dag of the document."""
    from cwl_ui_plugin.cwl.compiler import compiling
    from cwl_ui_plugin.cwl.engine import run_settings
    from cwl_ui_plugin.dags.dag import CWLDAG
    from cwl_ui_plugin.library.versions import StoredVersion

    folder = tmp_path_factory.mktemp("document")
    (folder / "source").mkdir()
    (folder / "source/main.cwl").write_text(DOCUMENT)
    compiling.compile_document(folder / "source", "main.cwl", folder)
    run_settings.preload()
    version = StoredVersion(
        dag_id="killed",
        digest="1",
        folder=folder,
        main="main.cwl",
        filename="main.cwl",
        uploaded_by="ada",
        uploaded_at="2026-01-01T00:00:00+00:00",
    )
    yield CWLDAG("killed", version=version)


class Run:
    """A run whose tasks are tried one after the other, each try in a process."""

    def __init__(self, dag: Any, folder: Path, deadly: Callable[[], None]) -> None:
        self.dag, self.folder, self.deadly = dag, folder, deadly
        (folder / "inputs").mkdir(parents=True)
        (folder / "inputs/given.txt").write_text("given")
        job = {"names": ["a", "b"], "given": {"class": "File", "location": "given.txt"}}
        created = datetime(2026, 1, 1, tzinfo=timezone.utc)
        self.run = SimpleNamespace(
            run_type="manual",
            dag_id="killed",
            run_id="r",
            run_after=created,
            conf={"job": job},
            clear_number=0,
            logical_date=None,
        )
        self.values: dict[str, Any] = {}
        self.killed: Counter[str] = Counter()

    def go(self) -> dict[str, Any]:
        """Run all tasks; return the output object."""
        for name in TASKS:
            batches = self.values["each.scatter"] if name == "each" else [None]
            found = [self.try_until_it_ends(name, index, batch) for index, batch in enumerate(batches)]
            self.values[name] = found if name == "each" else found[0]
        return dict(self.values[GATHERER])

    def try_until_it_ends(self, name: str, index: int, batch: Any) -> Any:
        for number in (1, 2):
            status, value = self.in_process(lambda n=number: self.execute(name, index, batch, n), dies=number == 1)
            if not os.WIFSIGNALED(status):
                return json.loads(value)
            assert os.WTERMSIG(status) == signal.SIGKILL
            self.killed[name] += 1
        raise AssertionError(f"{name} failed again")

    def in_process(self, work: Callable[[], Any], *, dies: bool) -> tuple[int, bytes]:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            try:
                if dies:
                    self.deadly()
                os.write(writing, json.dumps(work()).encode())
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                sys.stderr.flush()
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as file:
            value = file.read()
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the try failed"
        return status, value

    def execute(self, name: str, index: int, batch: Any, number: int) -> Any:
        task = self.dag.get_task(name)
        if batch is not None:
            task = task.unmap({"batch": batch})
        instance = SimpleNamespace(
            id=f"{name}-{index}",
            dag_id="killed",
            run_id="r",
            task_id=name,
            map_index=-1 if batch is None else index,
            try_number=number,
            xcom_pull=lambda task_ids: self.values.get(task_ids),
            xcom_push=lambda key, value: print("pushed", key, value, file=sys.stderr),
        )
        return task.execute({"ti": instance, "dag_run": self.run})


@pytest.fixture
def run(compiled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], None]], Run]:
    for name in ("inputs", "outputs", "tmp", "reuse"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{name.upper()}_FOLDER", str(tmp_path / name))
    monkeypatch.setenv("AIRFLOW__CWL__STOP_GRACE", "0.1")
    return lambda deadly: Run(compiled, tmp_path, deadly)


def dying(place: str, *, after: bool) -> Callable[[], None]:
    """Return what lets this process die where a function is called, or where it has done its work."""
    module, _, path = place.partition(":")

    def patch() -> None:
        *owners, name = path.split(".")
        owner = import_module(module if module.startswith("cwltool") else f"cwl_ui_plugin.{module}")
        for part in owners:
            owner = getattr(owner, part)
        work = getattr(owner, name)

        def die(*arguments: Any, **more: Any) -> Any:
            if after:
                work(*arguments, **more)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, die)

    return patch


def check(run: Run, outputs: dict[str, Any]) -> None:
    """See that the run delivered what it should, and left nothing half-made or held."""
    out = run.folder / "outputs/killed/r"
    names = sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
    assert names == sorted(
        ["out.txt", "out.txt_2", "given.txt", "quant/a.txt", "quant/same.txt", "quant_2/b.txt", "quant_2/same.txt"]
    )
    assert (out / "quant_2/same.txt").read_text() == (out / "out.txt").read_text() == "made\n"
    assert [Path(folder["path"]).name for folder in outputs["folders"]] == ["quant", "quant_2"]
    assert (out / "given.txt").stat().st_nlink == 1
    assert run_folder.leases("killed", "r") == []


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_task_that_is_killed_is_tried_again(
    run: Callable[..., Run], moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, after, expected = MOMENTS[moment]
    has_reuse = "reuse" in moment or place.startswith("cwl.engine.outputs")
    monkeypatch.setenv("AIRFLOW__CWL__REUSE", str(has_reuse and moment != "delivery is planned"))
    killed = run(dying(place, after=after))
    check(killed, killed.go())
    assert set(killed.killed) == expected


def test_a_gatherer_delivers_again_when_the_files_are_gone(run: Callable[..., Run]) -> None:
    """Its first try was lost after it had ended, and somebody has removed the intermediate files."""
    twice = run(lambda: None)
    first = twice.go()
    run_folder.remove_run_tmp("killed", "r")
    _status, again = twice.in_process(lambda: twice.execute(GATHERER, -1, None, 2), dies=False)
    assert json.loads(again) == first
    check(twice, first)


@pytest.mark.parametrize(
    ("number", "is_tried_again"), [(errno.ENOSPC, True), (errno.ESTALE, True), (errno.EACCES, False)]
)
@pytest.mark.parametrize("name", [DISPATCHER, GATHERER])
def test_a_disk_that_makes_trouble_fails_the_first_and_the_last_task_for_now(
    run: Callable[..., Run], name: str, number: int, is_tried_again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    from cwl_ui_plugin.dags.folders import claims

    def fail(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    failing = run(lambda: None)
    failing.values = {task: {} for task in TASKS}
    monkeypatch.setattr(claims, "_write", fail)

    def tried() -> str:
        with pytest.raises(Exception, match=os.strerror(number)) as caught:
            failing.execute(name, -1, None, 1)
        return "no" if isinstance(caught.value, AirflowFailException) else "yes"

    _status, answer = failing.in_process(tried, dies=False)
    assert json.loads(answer) == ("yes" if is_tried_again else "no")


def test_a_full_disk_for_outputs_is_waited_for(run: Callable[..., Run], tmp_path: Path) -> None:
    """A real disk, of 64 kB at first."""
    place = tmp_path / "outputs/killed"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("disks can't be mounted here")
    try:
        waiting = run(lambda: None)
        (waiting.folder / "inputs/given.txt").write_bytes(b"x" * 500_000)
        for name in TASKS[:-1]:
            batches = waiting.values["each.scatter"] if name == "each" else [None]
            found = [waiting.try_until_it_ends(name, index, batch) for index, batch in enumerate(batches)]
            waiting.values[name] = found if name == "each" else found[0]

        def fails() -> str:
            from airflow.sdk.exceptions import AirflowException

            with pytest.raises(AirflowException, match="No space left on device") as caught:
                waiting.execute(GATHERER, -1, None, 1)
            return type(caught.value).__name__

        assert json.loads(waiting.in_process(fails, dies=False)[1]) == "AirflowException"
        assert not list(place.rglob("given.txt")) + list(place.rglob(".cwl-part-*"))
        subprocess.run(["mount", "-o", "remount,size=10m", str(place)], check=True)
        waiting.in_process(lambda: waiting.execute(GATHERER, -1, None, 2), dies=False)
        assert (place / "r/given.txt").stat().st_size == 500_000
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
