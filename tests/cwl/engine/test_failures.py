"""Bad tools, documents and machines: the step fails, says which and why, and what may pass is told apart."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.compiled_run import run_compiled

from cwl_ui_plugin.cwl import complaints, quick_javascript
from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import disk, node, process_runs, run_settings
from cwl_ui_plugin.cwl.errors import CwlError, StepError

Usage = namedtuple("Usage", "total used free")
Run = Callable[[str], dict[str, Any]]
TOOL = """
cwlVersion: v1.2
class: CommandLineTool
requirements:
  InlineJavascriptRequirement: {{}}
  ShellCommandRequirement: {{}}
  {more}
arguments: [{{shellQuote: false, valueFrom: {script!r}}}]
inputs: {{}}
outputs: {outputs}
"""
EXPRESSION = """
cwlVersion: v1.2
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {}
outputs: {out: Any}
expression: '${ %s }'
"""
WORKFLOW = """
cwlVersion: v1.2
class: Workflow
requirements: {InlineJavascriptRequirement: {}, StepInputExpressionRequirement: {}}
inputs: {}
outputs: {out: {type: Any, outputSource: second/out}}
steps:
  second:
    run: {class: ExpressionTool, inputs: {n: Any}, outputs: {out: Any}, expression: '${ return {out: inputs.n}; }'}
    in: {n: {default: 1, valueFrom: "%s"}}
    when: %s
    out: [out]
"""


def tool(script: str, outputs: str = "{}", more: str = "") -> str:
    return TOOL.format(script=script, outputs=outputs, more=more)


def collected(expression: str) -> str:
    return tool("true", f"{{out: {{type: int, outputBinding: {{outputEval: '{expression}'}}}}}}")


FILE = "{out: {type: File, outputBinding: {glob: %s}}}"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a document; return its output object."""

    def run_document(document: str) -> dict[str, Any]:
        (tmp_path / "source").mkdir()
        (tmp_path / "source/main.cwl").write_text(document)
        compiling.compile_document(tmp_path / "source", "main.cwl", tmp_path / "compiled")
        return run_compiled(tmp_path / "compiled", tmp_path / "source", {}, tmp_path / "run")

    return run_document


@pytest.mark.parametrize(
    ("document", "words"),
    [
        pytest.param(tool("true", FILE % "a.txt"), ["out", "Did not find", "a.txt"], id="missing"),
        pytest.param(tool("touch 1 2", FILE % "'*'"), ["out", "Multiple matches"], id="too many"),
        pytest.param(tool("true", FILE % "/etc/passwd"), ["out", "must not start with '/'"], id="elsewhere"),
        pytest.param(collected('$("text")'), ["out", "text", "is not int"], id="type"),
        pytest.param(tool("echo [1] > cwl.output.json", "{out: int}"), ["not a dict"], id="cwl.output.json"),
        pytest.param(
            tool("echo '{' > cwl.output.json", "{out: int}"), ["cwl.output.json"], id="broken cwl.output.json"
        ),
        pytest.param(collected('${ throw new Error("no luck"); }'), ["out", "Error: no luck", "throw"], id="throws"),
        pytest.param(collected("${ return (1; }"), ["out", "SyntaxError", "return (1;"], id="syntax"),
        pytest.param(tool("echo $(inputs.a.b)"), ["undefined (reading", "inputs.a.b"], id="undefined"),
        pytest.param(EXPRESSION % "throw 1", ["JavaScript expression failed: 1"], id="expression tool"),
        pytest.param(EXPRESSION % "return 3", ["not iterable"], id="no object"),
        pytest.param(WORKFLOW % ("${ throw new Error(1); }", "$(true)"), ["Step second", "Error: 1"], id="valueFrom"),
        pytest.param(WORKFLOW % ("$(1)", "$(3)"), ["Step second", "true' or 'false"], id="when"),
        pytest.param(tool("kill -9 $$"), ["signal 9, SIGKILL, perhaps because memory ran out"], id="killed"),
        pytest.param(tool("kill -SEGV $$"), ["signal 11, SIGSEGV"], id="crashed"),
        pytest.param(tool("sh -c 'kill -9 $$'; exit $?"), ["exit code 137", "SIGKILL"], id="child killed"),
        pytest.param(tool("true").replace("arguments", "hints: []\nbaseCommand: no-such-program\n#"), ["no-such-pro"]),
        pytest.param(
            tool("true").replace("  ShellCommandRequirement: {}\n", "").replace("arguments", "#"),
            ["empty command line"],
            id="no command",
        ),
    ],
)
def test_a_step_that_fails_says_which_and_why(run: Run, document: str, words: list[str]) -> None:
    with pytest.raises(StepError) as caught:
        run(document)
    message = str(caught.value)
    assert caught.value.kind == "permanentFail"
    assert message.startswith("Step ")
    assert all(word in message for word in words), message
    assert not any(noise in message for noise in ("script was", "Traceback", "[job ", "evalmachine")), message


def test_a_glob_that_matches_nothing_is_an_empty_list_where_the_type_allows_it(run: Run) -> None:
    outputs = "{some: {type: 'File[]', outputBinding: {glob: '*.x'}}, one: {type: File?, outputBinding: {glob: y}}}"
    assert run(tool("true", outputs)) == {"some": [], "one": None}


@pytest.mark.parametrize("script", ["sleep 600", "trap '' TERM; sleep 600", "trap 'exit 0' TERM; sleep 600 & wait"])
def test_a_command_has_failed_when_it_did_not_keep_its_time_limit(run: Run, script: str) -> None:
    with pytest.raises(StepError, match="time limit of 1 seconds") as caught:
        run(tool(script, more="ToolTimeLimit: {timelimit: 1}"))
    assert caught.value.kind == "permanentFail"


def test_an_expression_that_never_ends_is_ended(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make = run_settings.run_context

    def impatient(*arguments: Any, **more: Any) -> Any:
        context = make(*arguments, **more)
        context.eval_timeout = 0.2
        return context

    monkeypatch.setattr(process_runs, "run_context", impatient)
    with pytest.raises(StepError, match=r"expression failed: it did not end within 0.2 seconds, in .*while"):
        run(collected("${ while (true) {} }"))


def test_an_expression_that_takes_all_memory_is_ended(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node, "HEAP_MIB", 24)
    monkeypatch.setattr(quick_javascript, "_MEMORY_BYTES", 32 * 2**20)
    with pytest.raises(StepError, match=r"expression failed: .*memory"):
        run(collected("${ var all = []; while (true) {all.push({x: [all.length]});} }"))


def test_a_failure_on_a_full_disk_may_pass(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    free = iter([100, 3])
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _path: Usage(9**12, 0, next(free) * disk.MEBIBYTE))
    with pytest.raises(StepError, match=r"exit code 1.*the disk is full: 3 MiB") as caught:
        run(tool("echo 'No space left on device' >&2; exit 1"))
    assert caught.value.kind == "temporaryFail"
    assert caught.value.stderr == "No space left on device"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)]
    if os.geteuid() != 0 or not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small file system")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("outputs", ["{}", FILE % "copy"])
def test_a_disk_that_gets_full_is_told_whether_command_or_cwltool_fills_it(small_disk: Path, outputs: str) -> None:
    source = small_disk / "source"
    source.mkdir()
    (source / "main.cwl").write_text(tool("head -c 30000000 /dev/zero > copy", outputs))
    compiling.compile_document(source, "main.cwl", small_disk / "compiled")
    with pytest.raises(CwlError, match="disk is full") as caught:
        run_compiled(small_disk / "compiled", source, {}, small_disk / "run")
    assert caught.value.kind == "temporaryFail"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.ENFILE])
@pytest.mark.parametrize(
    "where",
    [
        "the command",
        "cwltool.command_line_tool.CommandLineTool.collect_output_ports",
        "cwltool.job.CommandLineJob._execute",
        "cwl_ui_plugin.cwl.engine.job_recorder.check_disk",
    ],
)
def test_trouble_with_a_disk_may_pass_wherever_it_is_met(
    run: Run, monkeypatch: pytest.MonkeyPatch, number: int, where: str
) -> None:
    def fail(*_arguments: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number), "a-file")

    script = "true"
    if where == "the command":
        script = f"echo 'tool: write error: {os.strerror(number)}' >&2; exit 1"
    else:
        monkeypatch.setattr(where, fail)
    with pytest.raises(StepError) as caught:
        run(tool(script))
    assert caught.value.kind == "temporaryFail"
    assert os.strerror(number) in caught.value.message + caught.value.stderr


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.ELOOP])
def test_other_trouble_does_not(run: Run, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number), "a-file")

    monkeypatch.setattr("cwl_ui_plugin.cwl.engine.job_recorder.check_disk", fail)
    with pytest.raises(StepError) as caught:
        run(tool("true"))
    assert caught.value.kind == "permanentFail"


@pytest.mark.parametrize("ending", ["true", "exit 1", "mkdir -p $d/x"])
def test_a_folder_that_is_removed_under_a_running_command_is_named(run: Run, tmp_path: Path, ending: str) -> None:
    with pytest.raises(StepError, match=r"intermediate files was removed while it ran: .*/run") as caught:
        run(tool(f"d=`dirname $HOME`; cd /; rm -rf $d; {ending}", FILE % "a.txt"))
    assert caught.value.kind == "temporaryFail"


GONE = """
cwlVersion: v1.2
class: Workflow
requirements: {ShellCommandRequirement: {}}
inputs: {}
outputs: {}
steps:
  made:
    run: {class: CommandLineTool, baseCommand: [echo, made], inputs: [], outputs: {out: stdout}, stdout: made.txt}
    in: []
    out: [out]
  removed:
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'rm -r $(dirname $(realpath $0))']
      inputs: {file: {type: File, inputBinding: {}}}
      outputs: {out: stdout}
    in: {file: made/out}
    out: [out]
  used:
    run:
      class: CommandLineTool
      baseCommand: cat
      inputs: {file: {type: File, inputBinding: {}}, after: File}
      outputs: {}
    in: {file: made/out, after: removed/out}
    out: []
"""


def test_an_input_that_was_removed_is_named(run: Run) -> None:
    with pytest.raises(StepError, match=r"Step used: its input made.txt is not there any more: /.*/made.txt") as caught:
        run(GONE)
    assert caught.value.kind == "permanentFail"


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(1, "exit code 1"), (-15, "signal 15, SIGTERM"), (255, "exit code 255"), (-99, "signal 99"), (200, "code 200")],
)
def test_an_ending_is_told_for_every_code(exit_code: int, words: str) -> None:
    assert complaints.ending(exit_code).endswith(words)


SCATTERED = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {texts: "string[]?"}
outputs: {}
steps:
  say:
    run: {class: CommandLineTool, baseCommand: echo, inputs: {text: string}, outputs: {}}
    scatter: text
    in: {text: texts}
    out: []
"""


def test_a_list_that_is_missing_for_a_scatter_is_named(run: Run) -> None:
    with pytest.raises(
        StepError, match=r"Step say: it scatters over its input 'text', which is 'texts', and that is null"
    ):
        run(SCATTERED)


@pytest.mark.parametrize("link", ["ln -s self d/self", "ln -s ../d d/again", "ln -s other d/self; ln -s self d/other"])
def test_an_output_folder_with_a_link_that_has_no_end_is_a_failure_at_once(run: Run, link: str) -> None:
    with pytest.raises(StepError, match="leads back to itself") as caught:
        run(tool(f"mkdir d; {link}", "{d: {type: Directory, outputBinding: {glob: d}}}"))
    assert caught.value.kind == "permanentFail"


def test_a_link_to_a_file_beside_it_is_no_loop(run: Run) -> None:
    outputs = run(tool("mkdir d; echo x > d/a; ln -s a d/b", "{d: {type: Directory, outputBinding: {glob: d}}}"))
    assert sorted(item["basename"] for item in outputs["d"]["listing"]) == ["a", "b"]


@pytest.mark.parametrize("stdout", ["", "stdout: said.txt\n"])
def test_where_nothing_is_on_standard_error_the_end_of_the_output_is_shown(run: Run, stdout: str) -> None:
    with pytest.raises(StepError) as caught:
        run(tool("echo the reason; exit 3") + stdout)
    assert caught.value.stderr.endswith("end of standard output:)\nthe reason")


def test_what_is_on_standard_error_is_shown_alone(run: Run) -> None:
    with pytest.raises(StepError) as caught:
        run(tool("echo noise; echo the reason >&2; exit 3"))
    assert caught.value.stderr == "the reason"


def test_a_long_command_does_not_stand_before_the_reason(run: Run) -> None:
    with pytest.raises(StepError) as caught:
        run(tool(f"true {'x' * 5000}; exit 3"))
    assert len(caught.value.message) < 300
    assert len(" ".join(caught.value.command or [])) > 5000
