cwlVersion: v1.2
class: CommandLineTool
label: Sort and index an alignment
requirements: {ShellCommandRequirement: {}}
hints:
  SoftwareRequirement: {packages: {samtools: {}}}
baseCommand: [samtools, sort]
arguments:
  - {prefix: -o, valueFrom: $(inputs.alignment.nameroot).bam}
  - {position: 2, shellQuote: false, valueFrom: "&&"}
  - {position: 3, valueFrom: samtools}
  - {position: 4, valueFrom: index}
  - {position: 5, valueFrom: $(inputs.alignment.nameroot).bam}
inputs:
  alignment: {type: File, inputBinding: {position: 1}}
outputs:
  sorted:
    type: File
    secondaryFiles: [.bai]
    outputBinding: {glob: $(inputs.alignment.nameroot).bam}
