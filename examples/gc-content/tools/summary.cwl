cwlVersion: v1.2
class: CommandLineTool
label: Mean, lowest and highest share
requirements:
  InitialWorkDirRequirement:
    listing:
      - entryname: summary.awk
        entry: |
          { bases += $2; sum += $2 * $3 }
          NR == 1 || $3 < low { low = $3 }
          NR == 1 || $3 > high { high = $3 }
          END { printf "windows\t%d\nbases\t%d\nmean\t%.4f\nlowest\t%.4f\nhighest\t%.4f\n", NR, bases, sum / bases, low, high }
baseCommand: [awk, -f, summary.awk]
inputs:
  table: {type: File, inputBinding: {position: 1}}
stdout: summary.tsv
outputs:
  summary: {type: stdout}
