"""Tables: what is separated by tabs or commas, with the names that formats give their columns.

BED: UCSC's and GA4GH's BED v1; GFF3 by the Sequence Ontology; VCF 4.3 (samtools/hts-specs); SAM v1.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from cwl_ui_plugin.services.previewing.models import MAX_CELL, MAX_COLUMNS, MAX_ROWS, TABLE, TEXT, Beginning, Preview
from cwl_ui_plugin.services.previewing.texts import whole_lines

_BED = (
    "chrom",
    "start",
    "end",
    "name",
    "score",
    "strand",
    "thickStart",
    "thickEnd",
    "itemRgb",
    "blockCount",
    "blockSizes",
    "blockStarts",
)
_GFF = ("seqid", "source", "type", "start", "end", "score", "strand", "phase", "attributes")
SAM = ("QNAME", "FLAG", "RNAME", "POS", "MAPQ", "CIGAR", "RNEXT", "PNEXT", "TLEN", "SEQ", "QUAL")
_VCF_FIXED = 9
MAX_HEADER = 64 * 1024
MAX_NAMED = 20


@dataclass(frozen=True)
class Format:
    """A format of tables: ``columns`` where the file has no line of names, ``comments`` begin lines of a header."""

    separator: str = "\t"
    columns: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    names_begin: str = ""
    """With what the line of names begins, where it is the last of the header."""
    fewest: int = 0
    """Columns that each line has at least; 0: as many as the first."""


_PEAK = (*_BED[:6], "signalValue", "pValue", "qValue", "peak")
_BED_HEADER = ("#", "track", "browser")
FORMATS = {
    ".csv": Format(separator=","),
    ".tsv": Format(),
    ".tab": Format(),
    ".bed": Format(columns=_BED, comments=_BED_HEADER, fewest=3),
    ".bedgraph": Format(columns=(*_BED[:3], "value"), comments=_BED_HEADER, fewest=4),
    ".narrowpeak": Format(columns=_PEAK, comments=_BED_HEADER, fewest=3),
    ".broadpeak": Format(columns=_PEAK[:-1], comments=_BED_HEADER, fewest=3),
    ".gff": Format(columns=_GFF, comments=("#",), fewest=9),
    ".gff3": Format(columns=_GFF, comments=("#",), fewest=9),
    ".gtf": Format(columns=_GFF, comments=("#",), fewest=9),
    ".vcf": Format(comments=("##", "#CHROM"), names_begin="#CHROM", fewest=8),
    ".sam": Format(columns=SAM, comments=("@",), fewest=11),
}


def table_preview(found: Beginning, text: str, note: str, suffix: str) -> Preview:
    """Return a table, or the text where it can't be read as one."""
    format_ = FORMATS[suffix]
    lines = whole_lines(text, is_part=found.is_part)
    header, names, body = _split(lines, format_)
    problem = found.problem
    if suffix == ".vcf" and not names:
        problem = problem or "This is no valid VCF: it has no line that begins with #CHROM."
    try:
        rows = list(_rows(body, format_.separator))
    except csv.Error as error:
        return Preview(TEXT, found.size, text=text, note=note, problem=f"This is no valid table: {error}.")
    first = len(header) + 1
    if not format_.columns and not format_.names_begin and rows:
        names, rows, first = tuple(rows[0]), rows[1:], 2
    columns = names or _named(format_.columns, rows)
    return Preview(
        TABLE,
        found.size,
        columns=_cut(columns),
        rows=tuple(_cut(row) for row in rows[:MAX_ROWS]),
        header="\n".join(header)[:MAX_HEADER],
        facts=_samples(names) if suffix == ".vcf" else (),
        problem=problem or _uneven(rows[:MAX_ROWS], format_.fewest or len(columns), first),
        note=note,
        is_part=found.is_part or len(rows) > MAX_ROWS or any(len(row) > MAX_COLUMNS for row in (columns, *rows)),
        is_compressed=found.is_compressed,
    )


def _split(lines: list[str], format_: Format) -> tuple[list[str], tuple[str, ...], list[str]]:
    """Return the lines of the header, the names of columns in it, and the other lines."""
    count = 0
    while count < len(lines) and format_.comments and lines[count].startswith(format_.comments):
        count += 1
        if format_.names_begin and lines[count - 1].startswith(format_.names_begin):
            names = tuple(lines[count - 1].removeprefix("#").split(format_.separator))
            return lines[:count], names, lines[count:]
    return lines[:count], (), lines[count:]


def _rows(lines: list[str], separator: str) -> Iterator[list[str]]:
    if separator == ",":
        yield from csv.reader(io.StringIO("\n".join(lines)))
    else:
        yield from (line.split(separator) for line in lines if line)


def _named(columns: tuple[str, ...], rows: list[list[str]]) -> tuple[str, ...]:
    """Return names for as many columns as there are."""
    width = max(map(len, rows[:MAX_ROWS]), default=len(columns))
    return tuple(columns[place] if place < len(columns) else str(place + 1) for place in range(width))


def _uneven(rows: list[list[str]], fewest: int, first: int) -> str:
    """Return which line has fewer columns than it should; lines with quoted line breaks count as one."""
    for number, row in enumerate(rows, start=first):
        if row and len(row) < fewest:
            return f"Line {number} has {len(row)} of {fewest} columns."
    return ""


def _samples(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    found = names[_VCF_FIXED:]
    if not found:
        return (("Samples", "none"),) if names else ()
    more = f" and {len(found) - MAX_NAMED:,} more" if len(found) > MAX_NAMED else ""
    return (("Samples", f"{len(found):,}: {', '.join(name[:MAX_CELL] for name in found[:MAX_NAMED])}{more}"),)


def _cut(row: list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(cell if len(cell) <= MAX_CELL else f"{cell[:MAX_CELL]}…" for cell in row[:MAX_COLUMNS])
