cwlVersion: v1.2
class: CommandLineTool
label: Upper case
baseCommand: [tr, "[:lower:]", "[:upper:]"]
inputs:
  text: File
stdin: $(inputs.text.path)
stdout: upper.txt
outputs:
  upper: stdout
