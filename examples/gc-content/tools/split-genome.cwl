cwlVersion: v1.2
class: CommandLineTool
label: Split a genome into pieces
doc: Cuts each sequence of a FASTA file into pieces of equal length; the name of a piece tells where it begins.
requirements:
  ShellCommandRequirement: {}
  InitialWorkDirRequirement:
    listing:
      - entryname: split.awk
        entry: |
          function flush_piece(   name) {
            if (piece == "") return
            name = sprintf("piece-%08d.txt", start)
            printf "%d %s\n", start, piece > name
            close(name)
            start += length(piece); piece = ""
          }
          /^>/ { flush_piece(); next }
          {
            piece = piece toupper($0)
            while (length(piece) >= size) {
              rest = substr(piece, size + 1); piece = substr(piece, 1, size)
              flush_piece(); piece = rest
            }
          }
          END { flush_piece() }
baseCommand: [awk, -f, split.awk]
arguments:
  - prefix: -v
    valueFrom: size=$(inputs.piece_size)
  - prefix: -v
    valueFrom: start=0
inputs:
  genome: {type: File, inputBinding: {position: 2}}
  piece_size: int
outputs:
  pieces: {type: "File[]", outputBinding: {glob: "piece-*.txt"}}
