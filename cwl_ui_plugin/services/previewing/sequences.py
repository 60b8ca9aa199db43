"""FASTQ and FASTA: reads with readable qualities, sequences with their lengths."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from cwl_ui_plugin.services.previewing.models import MAX_CELL, MAX_ROWS, READS, TABLE, Beginning, Preview, Read
from cwl_ui_plugin.services.previewing.texts import whole_lines

FASTQ = frozenset((".fastq", ".fq"))
FASTA = frozenset((".fasta", ".fa", ".fna", ".faa", ".ffn", ".frn", ".fas"))
MAX_READS = 50
MAX_BASES = 300
_PHRED_33 = 33  # Cock et al. 2010: Sanger and Illumina since 1.8


class _Wrong(Exception):
    """What is wrong with a file; its text is for people."""


def fastq_preview(found: Beginning, text: str, note: str) -> Preview:
    """Return the first reads of a FASTQ file, whose records are of four lines."""
    reads: list[Read] = []
    problem, lines = "", whole_lines(text, is_part=found.is_part)
    try:
        for read in _reads(lines, is_part=found.is_part):
            if len(reads) == MAX_READS:
                break
            reads.append(read)
    except _Wrong as wrong:
        problem = f"This is no valid FASTQ: {wrong}"
    return Preview(
        READS,
        found.size,
        reads=tuple(reads),
        note=note,
        problem=problem or found.problem,
        is_part=found.is_part or len(lines) > 4 * len(reads),
        is_compressed=found.is_compressed,
    )


def _reads(lines: list[str], *, is_part: bool) -> Iterator[Read]:
    while lines and not lines[-1]:
        lines = lines[:-1]
    for start in range(0, len(lines), 4):
        record = lines[start : start + 4]
        if len(record) < 4:
            if is_part:
                return
            raise _Wrong(f"it ends within the read at line {start + 1}.")
        yield _read(record, start + 1)


def _read(record: list[str], line: int) -> Read:
    name, bases, plus, qualities = record
    if not name.startswith("@"):
        raise _Wrong(f"line {line} does not begin with @.")
    if not plus.startswith("+"):
        raise _Wrong(f"line {line + 2} does not begin with +.")
    if len(bases) != len(qualities):
        raise _Wrong(f"the read at line {line} has {len(bases)} bases and {len(qualities)} qualities.")
    scores = [ord(mark) - _PHRED_33 for mark in qualities]
    if any(not 0 <= score <= 93 for score in scores):
        raise _Wrong(f"line {line + 3} has a character that is no quality.")
    mean, lowest = (sum(scores) / len(scores), min(scores)) if scores else (0.0, 0)
    return Read(name[1 : MAX_CELL + 1], len(bases), bases[:MAX_BASES], tuple(scores[:MAX_BASES]), mean, lowest)


@dataclass
class _Sequence:
    name: str
    description: str
    length: int = 0
    parts: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        if self.length < MAX_BASES:
            self.parts.append(line[:MAX_BASES])
        self.length += len(line)

    def row(self, is_cut: bool) -> tuple[str, ...]:
        bases = "".join(self.parts)[:MAX_BASES]
        length = f"{self.length} and more" if is_cut else str(self.length)
        return (self.name[:MAX_CELL], self.description[:MAX_CELL], length, bases + "…" * (self.length > len(bases)))


def fasta_preview(found: Beginning, text: str, note: str) -> Preview:
    """Return the first sequences of a FASTA file as a table."""
    sequences: list[_Sequence] = []
    problem, is_cut = "", found.is_part
    for number, line in enumerate(whole_lines(text, is_part=False), start=1):
        if line.startswith(">"):
            if len(sequences) == MAX_ROWS:
                is_cut = True
                break
            name, _space, description = line[1:].partition(" ")
            sequences.append(_Sequence(name, description))
        elif line and not line.startswith(";"):
            if not sequences:
                problem = f"This is no valid FASTA: line {number} comes before the first line that begins with >."
                break
            sequences[-1].add(line.strip())
    rows = [item.row(found.is_part and item is sequences[-1]) for item in sequences]
    return Preview(
        TABLE,
        found.size,
        columns=("Name", "Description", "Length", "Sequence"),
        rows=tuple(rows),
        note=note,
        problem=problem or found.problem,
        is_part=is_cut,
        is_compressed=found.is_compressed,
    )
