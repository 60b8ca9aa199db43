"""What a run needs no more goes while it runs: every shape of workflow, task by task, all commands run for real."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.unread_run import CHAIN, LAST, Run, in_of, last_of, step, workflow

from cwl_ui_plugin.cwl.files import local_paths

NESTED = f"""
  sub:
    run:
      class: Workflow
      inputs: {{given: File}}
      outputs: {{out: {{type: Any, outputSource: two/out}}, through: {{type: Any, outputSource: given}}}}
      steps:
        one: {{run: '@tool', in: {in_of(name="=one", given="given")}, out: [out]}}
        two: {{run: '@tool', in: {in_of(name="=two", given="one/out")}, out: [out]}}
    in: {{given: a/out}}
    out: [out, through]
"""
SHAPES: dict[str, tuple[str, dict[str, set[str]]]] = {
    "chain": (
        CHAIN,
        {"a": {"a"}, "b": {"b"}, "c": {"c"}, "last": {"last"}},
    ),
    "diamond": (
        workflow(
            step("a"),
            step("b", given="a/out"),
            step("c", given="a/out"),
            step("last", given="b/out", also="c/out"),
            outputs=LAST,
        ),
        {"a": {"a"}, "b": {"a", "b"}, "c": {"b", "c"}, "last": {"last"}},
    ),
    "an output of the run that a step reads, too": (
        workflow(
            step("a"),
            step("b", given="a/out"),
            step("last", given="b/out"),
            outputs="{x: {type: File, outputSource: a/out}}",
        ),
        {"b": {"a", "b"}, "last": {"a"}},
    ),
    "nobody reads it": (workflow(step("a"), step("last"), outputs=LAST), {"a": set(), "last": {"last"}}),
    "handed through by an expression": (
        workflow(step("a"), step("p", "@pass", given="a/out"), step("last", given="p/out"), outputs=LAST),
        {"p": {"a"}, "last": {"last"}},
    ),
    "handed through to an output": (
        workflow(step("a"), step("last", "@pass", given="a/out"), outputs=LAST),
        {"last": {"a"}},
    ),
    "in a record and a list": (
        workflow(
            step("a"),
            step("b"),
            step("l", "@list", given="a/out", also="b/out"),
            step("r", "@record", given="l/out"),
            step("z"),
            step("last", "@pass", given="r/out"),
            outputs=LAST,
        ),
        {"r": {"a", "b"}, "z": {"a", "b"}, "last": {"a", "b"}},
    ),
    "the first of a list": (
        workflow(
            step("a"),
            step("b"),
            step("l", "@list", given="a/out", also="b/out"),
            step("last", "@first", given="l/out"),
            outputs=LAST,
        ),
        {"l": {"a", "b"}, "last": {"a"}},
    ),
    "in the listing of a literal Directory": (
        workflow(step("a"), step("d", "@listing", given="a/out"), step("last", given="d/out"), outputs=LAST),
        {"d": {"a"}, "last": {"last"}},
    ),
    "a link in a Directory to an input": (
        workflow(step("a"), step("d", "@folder", given="a/out"), step("z"), step("last", given="d/out"), outputs=LAST),
        {"d": {"a", "own-d"}, "last": {"last"}},
    ),
    "secondary files": (
        workflow(
            "  a: {run: '@indexed', in: {name: {default: a}}, out: [out, log]}\n",
            step("b", given="a/log"),
            step("last", given="a/out"),
            outputs=LAST,
        ),
        {"b": {"a.bam", "a.bam.bai"}, "last": {"last"}},
    ),
    "one of several outputs": (
        workflow(
            "  a: {run: '@indexed', in: {name: {default: a}}, out: [out, log]}\n",
            step("b", given="a/out"),
            step("last", given="a/log"),
            outputs="{x: {type: Any, outputSource: a/log}, y: {type: Any, outputSource: last/out}}",
        ),
        {"b": {"a.log"}, "last": {"a.log", "last"}},
    ),
    "merged sources": (
        workflow(
            step("a"),
            step("b"),
            last_of("a/out, b/out", "linkMerge: merge_flattened"),
            outputs=LAST,
        ),
        {"a": {"a"}, "b": {"a", "b"}, "last": {"last"}},
    ),
    "picked": (
        workflow(
            step("a"),
            step("b"),
            last_of("a/out, b/out", "pickValue: first_non_null"),
            outputs=LAST,
        ),
        {"b": {"a", "b"}, "last": {"last"}},
    ),
    "skipped": (
        workflow(
            step("a"),
            "  s: {run: '@tool', when: '$(false)', in: {name: {default: s}, given: a/out}, out: [out]}\n",
            last_of("s/out, a/out", "pickValue: first_non_null"),
            outputs=LAST,
        ),
        {"s": {"a"}, "last": {"last"}},
    ),
    "skipped, and the only reader": (
        workflow(
            step("a"),
            "  last: {run: '@tool', when: '$(false)', in: {name: {default: s}, given: a/out}, out: [out]}\n",
            outputs=LAST,
        ),
        {"a": {"a"}, "last": set()},
    ),
    "subworkflow": (
        workflow(step("a"), NESTED, step("last", given="sub/out"), outputs=LAST),
        {
            "a": {"a"},
            "sub.inputs": {"a"},
            "sub.one": {"a", "one"},
            "sub.two": {"a", "two"},
            "sub": {"two"},
            "last": {"last"},
        },
    ),
    "through a subworkflow": (
        workflow(step("a"), NESTED, step("last", given="sub/through"), outputs=LAST),
        {"sub.two": {"a", "two"}, "sub": {"a"}, "last": {"last"}},
    ),
    "skipped subworkflow": (
        workflow(
            step("a"),
            NESTED.replace("    in: {given", "    when: '$(false)'\n    in: {given"),
            last_of("sub/out, a/out", "pickValue: first_non_null"),
            outputs=LAST,
        ),
        {"sub": {"a"}, "last": {"last"}},
    ),
    "scatter after scatter": (
        workflow(
            "  a: {run: '@tool', scatter: name, in: {name: {default: [a0, a1, a2]}}, out: [out]}\n",
            "  b: {run: '@tool', scatter: given, in: {given: a/out, name: {valueFrom: 'of-$(inputs.given.basename)'}},"
            " out: [out]}\n",
            step("last", given="b/out"),
            outputs=LAST,
        ),
        {
            "a.gather": {"a0", "a1", "a2"},
            "b[0]": {"a1", "a2", "of-a0"},
            "b[1]": {"a2", "of-a0", "of-a1"},
            "b.gather": {"of-a0", "of-a1", "of-a2"},
            "last": {"last"},
        },
    ),
    "scatter whose list is read as a whole, too": (
        workflow(
            "  a: {run: '@tool', scatter: name, in: {name: {default: [a0, a1]}}, out: [out]}\n",
            "  b: {run: '@tool', scatter: given, in: {given: a/out, also: a/out, name: {default: b}}, out: [out]}\n",
            step("last", given="b/out"),
            outputs=LAST,
        ),
        {"b[0]": {"a0", "a1", "b"}, "b[1]": {"b"}, "last": {"last"}},
    ),
    "crossproduct": (
        workflow(
            "  a: {run: '@tool', scatter: name, in: {name: {default: [a0, a1]}}, out: [out]}\n",
            "  b: {run: '@tool', scatter: [given, also], scatterMethod: flat_crossproduct,"
            " in: {given: a/out, also: a/out, name: {default: b}}, out: [out]}\n",
            step("last", given="b/out"),
            outputs=LAST,
        ),
        {"b[0]": {"a0", "a1", "b"}, "b[2]": {"a0", "a1", "b"}, "b[3]": {"b"}, "last": {"last"}},
    ),
    "scattered subworkflow": (
        workflow(
            step("a"),
            NESTED.replace("in: {given", "scatter: given\n    in: {given").replace("{given: a/out}", "{given: l/out}"),
            step("l", "@list", given="a/out", also="a/out"),
            step("last", given="sub/out"),
            outputs=LAST,
        ),
        {"l": {"a"}, "sub[0]": {"a", "two"}, "sub[1]": {"a", "two"}, "sub.gather": {"two"}, "last": {"last"}},
    ),
    "an element that chooses a list's file later": (
        workflow(
            "  a: {run: '@tool', scatter: name, in: {name: {default: [a0, a1]}}, out: [out]}\n",
            "  b: {run: '@pass', scatter: given, in: {given: a/out}, out: [out]}\n",
            step("f", "@first", given="b/out"),
            step("last", given="f/out"),
            outputs=LAST,
        ),
        {"b[0]": {"a0", "a1"}, "b.gather": {"a0", "a1"}, "f": {"a0"}, "last": {"last"}},
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_there_after_each_task_and_all_later_ones_find_theirs(begin: Callable[..., Run], shape: str) -> None:
    document, expected = SHAPES[shape]
    run = begin(document)
    outputs = run.all()
    assert {task: run.after[task] for task in expected} == expected
    assert all(path.exists() for path in local_paths(outputs))


def test_a_loop_keeps_what_it_reads_until_it_has_ended(begin: Callable[..., Run]) -> None:
    document = workflow(
        step("a"),
        """  s:
    run:
      class: CommandLineTool
      baseCommand: [sh, -c, 'cat "$1" >loop-$0']
      inputs: {count: {type: int, inputBinding: {position: 1}}, file: {type: File, inputBinding: {position: 2}}}
      outputs:
        out: {type: File, outputBinding: {glob: "loop-*"}}
        next: {type: int, outputBinding: {outputEval: $(inputs.count + 1)}}
    requirements:
      cwltool:Loop: {loopWhen: $(inputs.count < 3), loop: {count: next, file: out}, outputMethod: last}
    in: {count: {default: 0}, file: a/out}
    out: [out, next]
""",
        step("last", given="s/out"),
        outputs=LAST,
    )
    run = begin("$namespaces: {cwltool: 'http://commonwl.org/cwltool#'}\n" + document)
    run.all()
    assert (run.after["a"], run.after["s"], run.after["last"]) == ({"a"}, {"loop-2"}, {"last"})
