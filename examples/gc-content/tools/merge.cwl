cwlVersion: v1.2
class: CommandLineTool
label: Merge tables
doc: Puts the tables of all pieces together, in the order of the genome.
baseCommand: [sort, -n]
inputs:
  tables: {type: "File[]", inputBinding: {position: 1}}
stdout: gc-content.tsv
outputs:
  table: {type: stdout}
