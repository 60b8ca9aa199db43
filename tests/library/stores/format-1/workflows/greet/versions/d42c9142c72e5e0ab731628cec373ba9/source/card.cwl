cwlVersion: v1.1
class: CommandLineTool
baseCommand: echo
inputs:
  greeting: {type: string, inputBinding: {position: 1}}
  name: {type: string, inputBinding: {position: 2}}
outputs:
  card: stdout
stdout: $(inputs.name).txt
requirements: {InlineJavascriptRequirement: {}}
