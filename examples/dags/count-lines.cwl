cwlVersion: v1.2
class: Workflow
label: Count lines
doc: The lines of each text, and of all of them together.
requirements:
  ScatterFeatureRequirement: {}
  InlineJavascriptRequirement: {}
inputs:
  texts: {type: "File[]", label: Texts}
  at_least: {type: int, default: 0, label: Fewest lines that count}
outputs:
  counts: {type: "int[]", outputSource: count/lines}
  report: {type: File, outputSource: report/report}
steps:
  count:
    scatter: text
    run:
      class: CommandLineTool
      baseCommand: [wc, -l]
      inputs: {text: File}
      stdin: $(inputs.text.path)
      stdout: lines.txt
      outputs:
        lines:
          type: int
          outputBinding: {glob: lines.txt, loadContents: true, outputEval: "$(parseInt(self[0].contents))"}
    in: {text: texts}
    out: [lines]
  report:
    run:
      class: CommandLineTool
      baseCommand: [printf, "%s lines\n"]
      inputs:
        counts: "int[]"
        at_least: int
      arguments:
        - $(inputs.counts.filter(function(n) { return n >= inputs.at_least; }).reduce(function(a, b) { return a + b; }, 0))
      stdout: report.txt
      outputs:
        report: stdout
    in: {counts: count/lines, at_least: at_least}
    out: [report]
