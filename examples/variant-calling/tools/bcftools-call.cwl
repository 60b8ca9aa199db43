cwlVersion: v1.2
class: CommandLineTool
label: Call variants
requirements: {ShellCommandRequirement: {}}
hints:
  SoftwareRequirement: {packages: {bcftools: {}}}
baseCommand: [bcftools, mpileup]
arguments:
  - {position: 3, shellQuote: false, valueFrom: "|"}
  - {position: 4, valueFrom: bcftools}
  - {position: 5, valueFrom: call}
  - {position: 6, valueFrom: -mv}
  - {position: 7, valueFrom: --ploidy}
  - {position: 8, valueFrom: "1"}
inputs:
  genome: {type: File, inputBinding: {position: 1, prefix: -f}}
  alignment: {type: File, secondaryFiles: [.bai], inputBinding: {position: 2}}
stdout: $(inputs.alignment.nameroot).vcf
outputs:
  variants: {type: stdout}
