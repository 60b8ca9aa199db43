cwlVersion: v1.2
class: CommandLineTool
label: Count words
doc: A tool alone is a workflow, too.
baseCommand: [wc, -w]
inputs:
  text: {type: File, label: Text, streamable: true}
stdin: $(inputs.text.path)
stdout: words.txt
outputs:
  words: {type: stdout}
