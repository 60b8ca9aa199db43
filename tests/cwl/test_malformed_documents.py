"""Documents that are no CWL are answered with what is wrong, where, and what to do, whatever cwltool meets in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cwl_ui_client.closure import closure
from cwl_ui_client.yaml_bounds import MAX_DEPTH, contains_itself, is_too_deep

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.errors import DocumentError

INPUTS = "inputs: {t: {type: string, inputBinding: {}}}"
TOOL = f"cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: echo\n{INPUTS}\nstdout: o\noutputs: {{o: stdout}}\n"
WORKFLOW = """cwlVersion: v1.2
class: Workflow
inputs: {t: string}
outputs: {o: {type: File, outputSource: s/o}}
steps:
  s: {in: {t: t}, out: [o], run: RUN}
"""
TWINS = "{class: CommandLineTool, id: a, baseCommand: ls, inputs: [], outputs: []}"
OTHERS = {
    "tool.cwl": TOOL.encode(),
    "empty.cwl": b"# not yet\n",
    "notes.txt": b"just notes\n",
    "picture.png": b"\x89PNG\r\n",
    "broken.cwl": b"cwlVersion: v1.2\nclass: [\n",
}


def refusal(folder: Path, text: str | bytes) -> DocumentError:
    """Refuse a document ``wf.cwl`` that may refer to :data:`OTHERS`."""
    source = folder / "source"
    source.mkdir()
    for name, content in {**OTHERS, "wf.cwl": text.encode() if isinstance(text, str) else text}.items():
        (source / name).write_bytes(content)
    closure(source / "wf.cwl")
    with pytest.raises(DocumentError) as caught:
        compiling.compile_document(source, "wf.cwl", folder / "compiled")
    error = caught.value
    shown = " ".join([error.message, *map(str, error.problems)])
    assert str(folder) not in shown
    assert ".".join(folder.parts[1:]) not in shown
    assert not [word for word in ("Error(", "Iteration(", "Errno", "enum_", "ruamel") if word in shown], shown
    return error


def run(target: str) -> str:
    return WORKFLOW.replace("RUN", target)


def inputs(text: str) -> str:
    return TOOL.replace(INPUTS, f"inputs: {text}")


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        (TOOL.replace("CommandLineTool", "[CommandLineTool]"), ("wf.cwl", 2), "class must be a text"),
        (inputs("hello"), ("wf.cwl", 4), "inputs must be a mapping or a list, and this is text"),
        (inputs(""), ("wf.cwl", 4), "without any, write inputs: []"),
        (inputs("[a, b]"), ("wf.cwl", 4), "each of the inputs in a list must be a mapping with id"),
        (inputs("[{id: a, type: int}, {id: a, type: string}]"), ("wf.cwl", 4), "'a' is used for two inputs"),
        (inputs(f"{{t: {{type: int, default: {'9' * 5000}}}}}"), ("wf.cwl", 4), "more than 4000 digits"),
        (TOOL + "? [a, b]\n: c\n", ("wf.cwl", 7), "a key must be a text"),
        (TOOL + "id: 5\n", ("wf.cwl", 7), "an id must be a text, and this is a number"),
        (TOOL + "doc: !foo bar\n", ("wf.cwl", 7), "no YAML tags such as !foo"),
        (TOOL.replace(INPUTS, "inputs:\n\tt: string"), ("wf.cwl", 5), "a tab, where YAML takes spaces only"),
        (TOOL + "doc: {$include: gone.txt}\n", ("wf.cwl", 7), "gone.txt is not in the upload"),
        (TOOL + "$mixin: gone.yml\n", ("wf.cwl", 7), "gone.yml is not in the upload"),
        (run("gone.cwl"), ("wf.cwl", 6), "run: gone.cwl is not in the upload"),
        (run("tools.cwl#two"), ("wf.cwl", 6), "run: tools.cwl is not in the upload"),
        (run("tool.cwl#two"), (None, None), "Reference '#two' not found in file 'tool.cwl'"),
        (run("../../../../../../../../etc/passwd#two"), ("wf.cwl", 6), "etc/passwd is not in the upload"),
        (run("'#nope'"), (None, None), "Reference '#nope' not found in file 'wf.cwl'"),
        (run("empty.cwl"), ("empty.cwl", 1), "nothing in this document"),
        (run("picture.png"), ("wf.cwl", 6), "picture.png is no text in UTF-8 (byte 0); save it as UTF-8"),
        (run("broken.cwl"), ("broken.cwl", 3), "expected the node content"),
        (run("notes.txt"), (None, None), "no mapping, but 'just notes'"),
        (run("."), (None, None), ". is a folder, where a document is needed"),
        (inputs("{t: {type: {type: record, fields: 5}}}"), ("wf.cwl", 4), "expected null or array"),
        (inputs("{t: '#t'}"), ("wf.cwl", 4), "not a valid Avro schema"),
        (f"cwlVersion: v1.2\n$graph: [{TWINS.replace('id: a, ', '')}, {TWINS}]\n", ("wf.cwl", 2), "mapping with an id"),
        (b"# nothing\n\n", ("wf.cwl", 1), "nothing in this document"),
        (b"cwlVersion: v1.2\nclass: \0\n", (None, None), "unacceptable character #x0000"),
        (TOOL.encode().replace(b"echo", b"\xe9cho"), (None, None), "wf.cwl is no text in UTF-8 (byte 53)"),
        (TOOL + "doc: &a [*a]\n", (None, None), "an alias (*name) within what it stands for"),
        (TOOL + "x: &a {<<: *a}\n", (None, None), "an alias (*name) within what it stands for"),
        ("a: " + "[" * 20_000, (None, None), "nested deeper than 500 levels"),
    ],
)
def test_it_says_what_and_where(
    tmp_path: Path, text: str | bytes, place: tuple[str | None, int | None], words: str
) -> None:
    problems = refusal(tmp_path, text).problems
    assert any(words in problem.message and (problem.file, problem.line) == place for problem in problems), problems


@pytest.mark.parametrize(
    ("graph", "words"),
    [("[]", "nothing in its $graph"), (f"[{TWINS}, {TWINS}]", "several processes with the id #a")],
)
def test_a_packed_document_says_what_is_wrong_with_its_processes(tmp_path: Path, graph: str, words: str) -> None:
    assert words in refusal(tmp_path, f"cwlVersion: v1.2\n$graph: {graph}\n").message


def test_all_files_that_are_missing_are_named_at_once_with_what_to_do(tmp_path: Path) -> None:
    steps = "".join(f"  s{n}: {{in: {{}}, out: [], run: ../tools/{n}.cwl#main}}\n" for n in range(12))
    error = refusal(
        tmp_path, WORKFLOW.partition("  s: ")[0].replace("{o: {type: File, outputSource: s/o}}", "{}") + steps
    )
    assert error.message.startswith("wf.cwl needs 12 files that are not in the upload: ../tools/0.cwl, ../tools/1.cwl,")
    assert " and 2 more. Choose the folder that has them all, or a zip of it" in error.message
    assert [problem.line for problem in error.problems] == list(range(6, 18))
    assert error.problems[11].message == "run: ../tools/11.cwl is not in the upload"


def test_steps_of_one_id_are_refused(tmp_path: Path) -> None:
    step = "- {id: s, in: {t: t}, out: [o], run: tool.cwl}\n"
    error = refusal(tmp_path, WORKFLOW.partition("  s: ")[0] + step + step)
    assert [(problem.line, problem.message) for problem in error.problems] == [
        (7, "the id 's' is used for two steps; give each its own")
    ]


def test_an_output_may_be_called_as_a_step_or_an_input(tmp_path: Path) -> None:
    (tmp_path / "tool.cwl").write_text(TOOL.replace("{o: stdout}", "{t: stdout}"))
    (tmp_path / "wf.cwl").write_text(
        run("tool.cwl").replace("[o]", "[t]").replace("{o: {", "{s: {").replace("s/o", "s/t")
    )
    assert compiling.compile_document(tmp_path, "wf.cwl", tmp_path / "compiled").steps


def test_each_type_that_does_not_fit_is_a_problem_of_its_own(tmp_path: Path) -> None:
    texts = "{t: {source: [t, t]}, u: {source: [t, t]}}"
    error = refusal(tmp_path, run("tool.cwl").replace("{t: t}", texts))
    clash = "Source 't' of type string is incompatible with sink 't' of type string"
    assert [problem.message for problem in error.problems] == [f"{clash} (source has linkMerge method merge_nested)"]


def bomb() -> Iterator[str]:
    yield "a0: &a0 [tool.cwl]\n"
    yield from (f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 30))


@pytest.mark.parametrize(
    "text",
    [
        "".join(bomb()),
        "&a [*a]",
        "&a {x: *a}",
        "a: &a {<<: *a}",
        "[" * 200_000,
        '{"a": ' + "[" * 5000 + "]" * 5000 + "}",
    ],
)
def test_no_document_keeps_the_gathering_of_its_files_busy(tmp_path: Path, text: str) -> None:
    (tmp_path / "wf.cwl").write_text(f"{text}\nrun: tool.cwl\n" if ": &a0" in text else text)
    (tmp_path / "tool.cwl").write_text(TOOL)
    assert [path.name for path in closure(tmp_path / "wf.cwl")] == ["wf.cwl"], "what it refers to is not looked for"


@pytest.mark.parametrize(
    ("text", "expected"),
    [("&a [*a]", True), ("&a {x: [{y: *a}]}", True), ("x: &a [1]\ny: *a", False), ("a && b * 2", False)],
)
def test_an_alias_within_what_it_names_is_seen(text: str, expected: bool) -> None:
    assert contains_itself(text) is expected


@pytest.mark.parametrize("levels", [MAX_DEPTH, MAX_DEPTH + 1])
def test_levels_are_counted(levels: int) -> None:
    assert is_too_deep("[" * levels + "]" * levels) is (levels > MAX_DEPTH)
