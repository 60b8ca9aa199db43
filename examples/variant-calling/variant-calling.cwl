cwlVersion: v1.2
class: Workflow
label: Variant calling
doc: Aligns reads to a genome with bwa and calls variants with bcftools. Needs bwa, samtools and bcftools.
inputs:
  genome: {type: File, label: Genome, doc: A FASTA file.}
  reads: {type: "File[]", label: Reads, doc: "FASTQ files: one, or two of pairs."}
  sample: {type: string, default: sample, label: Name of the sample}
outputs:
  variants: {type: File, outputSource: call/variants}
  alignment: {type: File, outputSource: sort/sorted, secondaryFiles: [.bai]}
  statistics: {type: File, outputSource: count/statistics}
steps:
  index:
    label: Index the genome
    run: tools/bwa-index.cwl
    in: {genome: genome}
    out: [indexed]
  align:
    label: Align the reads
    run: tools/bwa-mem.cwl
    in: {genome: index/indexed, reads: reads, sample: sample}
    out: [alignment]
  sort:
    label: Sort the alignment
    run: tools/samtools-sort.cwl
    in: {alignment: align/alignment}
    out: [sorted]
  call:
    label: Call variants
    run: tools/bcftools-call.cwl
    in: {genome: genome, alignment: sort/sorted}
    out: [variants]
  count:
    label: Count variants
    run: tools/bcftools-stats.cwl
    in: {variants: call/variants}
    out: [statistics]
