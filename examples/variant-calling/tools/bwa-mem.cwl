cwlVersion: v1.2
class: CommandLineTool
label: Align reads
hints:
  SoftwareRequirement: {packages: {bwa: {}}}
  ResourceRequirement: {coresMin: 1}
baseCommand: [bwa, mem]
arguments: [-t, $(runtime.cores), -R, "@RG\\tID:reads\\tSM:$(inputs.sample)"]
inputs:
  genome: {type: File, secondaryFiles: [.amb, .ann, .bwt, .pac, .sa], inputBinding: {position: 1}}
  reads: {type: "File[]", inputBinding: {position: 2}}
  sample: string
stdout: $(inputs.sample).sam
outputs:
  alignment: {type: stdout}
