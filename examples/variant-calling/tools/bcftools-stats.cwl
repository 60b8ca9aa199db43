cwlVersion: v1.2
class: CommandLineTool
label: Count variants
hints:
  SoftwareRequirement: {packages: {bcftools: {}}}
baseCommand: [bcftools, stats]
inputs:
  variants: {type: File, inputBinding: {position: 1}}
stdout: $(inputs.variants.nameroot).stats.txt
outputs:
  statistics: {type: stdout}
