cwlVersion: v1.2
class: CommandLineTool
label: Share of G and C
doc: Computes the share of G and C in windows of one piece of a genome.
requirements:
  InitialWorkDirRequirement:
    listing:
      - entryname: count.awk
        entry: |
          {
            for (at = 1; at <= length($2); at += window) {
              part = substr($2, at, window)
              bases = length(part)
              if (bases * 2 < window) break  # a rest too short to mean anything
              gc = gsub(/[GC]/, "", part)
              printf "%d\t%d\t%.4f\n", $1 + at - 1, bases, gc / bases
            }
          }
baseCommand: [awk, -f, count.awk]
arguments:
  - prefix: -v
    valueFrom: window=$(inputs.window)
inputs:
  piece: {type: File, inputBinding: {position: 2}}
  window: int
stdout: $(inputs.piece.nameroot).tsv
outputs:
  table: {type: stdout}
