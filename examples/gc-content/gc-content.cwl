cwlVersion: v1.2
class: Workflow
label: GC content along a genome
doc: |
  Splits a genome into pieces, computes the share of G and C in windows of each piece in parallel, merges the
  results and plots them. Needs nothing but awk and sort.
requirements:
  ScatterFeatureRequirement: {}
inputs:
  genome:
    type: File
    label: Genome
    doc: A FASTA file.
  window:
    type: int
    default: 200
    label: Window
    doc: Number of bases that one value is computed of.
  piece_size:
    type: int
    default: 10000
    label: Piece size
    doc: Number of bases in a piece; a multiple of the window.
  title:
    type: string
    default: GC content
    label: Title of the plot
outputs:
  plot: {type: File, label: Plot, outputSource: draw/plot}
  table: {type: File, label: Table, outputSource: merge/table}
  summary: {type: File, label: Summary, outputSource: summarize/summary}
steps:
  split:
    label: Split the genome
    run: tools/split-genome.cwl
    in: {genome: genome, piece_size: piece_size}
    out: [pieces]
  count:
    label: Count G and C
    run: tools/count-gc.cwl
    scatter: piece
    in: {piece: split/pieces, window: window}
    out: [table]
  merge:
    label: Merge the tables
    run: tools/merge.cwl
    in: {tables: count/table}
    out: [table]
  draw:
    label: Plot
    run: tools/plot.cwl
    in: {table: merge/table, title: title}
    out: [plot]
  summarize:
    label: Summarize
    run: tools/summary.cwl
    in: {table: merge/table}
    out: [summary]
