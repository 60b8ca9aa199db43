"""Workflows that several modules of tests upload."""

LOUD = """
cwlVersion: v1.2
class: Workflow
label: Say it loud
doc: Writes a text and shouts it.
inputs:
  text: {type: string, label: What to say}
  seconds: {type: int, default: 0}
outputs: {shouted: {type: File, outputSource: shout/out}}
steps:
  write:
    run:
      class: CommandLineTool
      requirements: {ShellCommandRequirement: {}}
      arguments: [{shellQuote: false, valueFrom: "sleep $(inputs.seconds); echo '<b>$(inputs.text)</b>'"}]
      inputs: {text: string, seconds: int}
      outputs: {out: {type: stdout}}
      stdout: text.html
    in: {text: text, seconds: seconds}
    out: [out]
  shout:
    run:
      class: CommandLineTool
      baseCommand: [tr, a-z, A-Z]
      inputs: {file: File}
      stdin: $(inputs.file.path)
      outputs: {out: {type: stdout}}
      stdout: shouted.html
    in: {file: write/out}
    out: [out]
"""
EACH_FIELD = """
cwlVersion: v1.2
class: CommandLineTool
label: Count what was read
baseCommand: [cat]
requirements:
  SchemaDefRequirement:
    types:
      - name: Sample
        type: record
        fields:
          lane: {type: int, label: Lane, doc: As the *sequencer* counts them.}
          note: string?
inputs:
  - {id: reads, type: File, label: Reads, doc: The **reads** of the sample., inputBinding: {}}
  - {id: names, type: "string[]", label: Names}
  - {id: sample, type: Sample, label: Sample}
  - {id: mode, type: {type: enum, symbols: [fast, exact]}, label: Mode}
  - {id: threshold, type: double?, label: Threshold}
  - {id: limit, type: [int, string, "null"], label: Limit}
  - {id: threads, type: int, default: 4, label: Threads}
outputs: {copied: stdout}
stdout: copied.txt
"""
"""Its form has each kind of field."""
SCATTERED = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, InlineJavascriptRequirement: {}}
inputs: {texts: "string[]", numbers: "int[]"}
outputs:
  shouted: {type: "File[]", outputSource: shout/out}
  cross: {type: {type: array, items: ["null", string]}, outputSource: cross/line}
  counted: {type: "int[]", outputSource: count/number}
steps:
  shout:
    label: Shout it
    scatter: text
    run:
      class: CommandLineTool
      baseCommand: echo
      inputs: {text: {type: string, inputBinding: {}}}
      outputs: {out: {type: stdout}}
      stdout: $(inputs.text).txt
    in: {text: texts}
    out: [out]
  cross:
    scatter: [a, b]
    scatterMethod: flat_crossproduct
    when: $(inputs.b != 2)
    run:
      class: ExpressionTool
      inputs: {a: string, b: int}
      outputs: {line: string}
      expression: "$({line: inputs.a + inputs.b})"
    in: {a: texts, b: numbers}
    out: [line]
  count:
    scatter: file
    run:
      class: ExpressionTool
      inputs: {file: {type: File, loadContents: true}}
      outputs: {number: int}
      expression: "$({number: inputs.file.contents.length})"
    in: {file: shout/out}
    out: [number]
"""
ECHO = """cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {text: {type: string, inputBinding: {}}}
outputs: {out: stdout}
"""
