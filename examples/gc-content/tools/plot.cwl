cwlVersion: v1.2
class: CommandLineTool
label: Plot as SVG
doc: Draws the share of G and C along the genome.
requirements:
  InitialWorkDirRequirement:
    listing:
      - entryname: plot.awk
        entry: |
          function x(at) { return left + at / last * width }
          function y(share) { return top + height - (share - low) / (high - low) * height }
          { at[NR] = $1; share[NR] = $3; last = $1 + $2; bases += $2; sum += $2 * $3 }
          END {
            left = 64; top = 56; width = 800; height = 300; low = 0.3; high = 0.7
            for (i = 1; i <= NR; i++) {
              if (share[i] < low) low = int(share[i] * 10) / 10
              if (share[i] > high) high = int(share[i] * 10 + 0.999) / 10
            }
            print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 900 420\" font-family=\"sans-serif\">"
            print "<rect width=\"900\" height=\"420\" fill=\"#ffffff\"/>"
            printf "<text x=\"%d\" y=\"30\" font-size=\"18\" font-weight=\"600\" fill=\"#161d2d\">%s</text>\n", left, title
            for (tick = low; tick <= high + 0.001; tick += 0.1) {
              printf "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#dee3ea\"/>\n", left, left + width, y(tick), y(tick)
              printf "<text x=\"%d\" y=\"%.1f\" font-size=\"12\" text-anchor=\"end\" fill=\"#3e5873\">%d %%</text>\n", left - 8, y(tick) + 4, tick * 100 + 0.5
            }
            step = last > 20000 ? 10000 : 1000
            for (tick = 0; tick <= last; tick += step)
              printf "<text x=\"%.1f\" y=\"%d\" font-size=\"12\" text-anchor=\"middle\" fill=\"#3e5873\">%d kb</text>\n", x(tick), top + height + 20, tick / 1000
            mean = sum / bases
            printf "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#e17100\" stroke-dasharray=\"5 4\"/>\n", left, left + width, y(mean), y(mean)
            printf "<text x=\"%d\" y=\"%.1f\" font-size=\"12\" text-anchor=\"end\" fill=\"#bb4d00\">mean %.1f %%</text>\n", left + width, y(mean) - 6, mean * 100
            printf "<polyline fill=\"none\" stroke=\"#3c5b89\" stroke-width=\"1.5\" points=\""
            for (i = 1; i <= NR; i++) printf "%.1f,%.1f ", x(at[i]), y(share[i])
            print "\"/>"
            printf "<text x=\"%d\" y=\"%d\" font-size=\"13\" text-anchor=\"middle\" fill=\"#161d2d\">position in the genome</text>\n", left + width / 2, top + height + 46
            print "</svg>"
          }
baseCommand: [awk, -f, plot.awk]
arguments:
  - prefix: -v
    valueFrom: title=$(inputs.title)
inputs:
  table: {type: File, inputBinding: {position: 2}}
  title: string
stdout: gc-content.svg
outputs:
  plot: {type: stdout}
