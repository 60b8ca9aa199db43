cwlVersion: v1.0
class: CommandLineTool
baseCommand: [wc, -c]
inputs:
  text:
    type: File
    inputBinding: {}
outputs:
  count: stdout
stdout: count.txt
