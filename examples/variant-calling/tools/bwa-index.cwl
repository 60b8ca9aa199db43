cwlVersion: v1.2
class: CommandLineTool
label: Index a genome
requirements:
  InitialWorkDirRequirement: {listing: [$(inputs.genome)]}
hints:
  SoftwareRequirement: {packages: {bwa: {}}}
baseCommand: [bwa, index]
inputs:
  genome: {type: File, inputBinding: {position: 1, valueFrom: $(self.basename)}}
outputs:
  indexed:
    type: File
    secondaryFiles: [.amb, .ann, .bwt, .pac, .sa]
    outputBinding: {glob: $(inputs.genome.basename)}
