"""A workflow whose runs have something to report: a scatter, a skipped step, a step that fails or takes its time."""

from __future__ import annotations

WORKFLOW = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}, ShellCommandRequirement: {}}
inputs:
  words: {type: "string[]", default: [one, two]}
  never: {type: boolean, default: false}
  seconds: {type: int, default: 0}
  code: {type: int, default: 0}
outputs:
  written: {type: "File[]", outputSource: write/out}
  left_out: {type: "File?", outputSource: skip/out}
steps:
  write:
    scatter: word
    in: {word: words}
    out: [out]
    run:
      class: CommandLineTool
      baseCommand: [printf, "%s"]
      inputs: {word: {type: string, inputBinding: {}}}
      outputs: {out: {type: stdout}}
      stdout: $(inputs.word).txt
  skip:
    when: $(inputs.never)
    in: {word: {default: never}, never: never}
    out: [out]
    run:
      class: CommandLineTool
      baseCommand: [printf, "%s"]
      inputs: {word: {type: string, inputBinding: {}}, never: boolean}
      outputs: {out: {type: stdout}}
      stdout: word.txt
  wait:
    in: {files: write/out, seconds: seconds, code: code}
    out: []
    run:
      class: CommandLineTool
      arguments: [{shellQuote: false, valueFrom: "echo waiting >&2; sleep $(inputs.seconds); exit $(inputs.code)"}]
      inputs: {files: "File[]", seconds: int, code: int}
      outputs: []
"""
"""``wait`` fails with ``code``, after ``seconds``."""
