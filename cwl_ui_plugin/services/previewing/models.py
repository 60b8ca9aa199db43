"""What previews are made of."""

from __future__ import annotations

from dataclasses import dataclass

TEXT, SOURCE, TABLE, READS = "text", "source", "table", "reads"
IMAGE, PDF, HTML, BINARY, NONE = "image", "pdf", "html", "binary", "none"

TEXT_BYTES = 128 * 1024
"""How much of a file is looked at for a preview, after unpacking."""
MAX_ROWS = 200
MAX_COLUMNS = 50
MAX_CELL = 500
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Read:
    """A read of a FASTQ file. ``qualities`` are Phred scores; of a long read the first bases are kept."""

    name: str
    length: int
    bases: str
    qualities: tuple[int, ...]
    mean_quality: float
    lowest_quality: int

    @property
    def bars(self) -> str:
        """The qualities as bars, one below each base: the full one is 40 (one error in 10,000 bases) or better."""
        return "".join(_BARS[min(score, 40) * (len(_BARS) - 1) // 40] for score in self.qualities)


@dataclass(frozen=True)
class Preview:
    """What to show of a file of ``size`` bytes; which fields are filled depends on ``kind``.

    ``columns`` and ``rows`` are a table, ``header`` is what stands before it, ``facts`` are names with values, ``text``
    is that of a text or the first bytes of something else, ``problem`` says what is wrong with the file, ``note``
    how it is shown. ``is_part`` tells that there is more.
    """

    kind: str
    size: int
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    header: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    reads: tuple[Read, ...] = ()
    problem: str = ""
    note: str = ""
    is_part: bool = False
    is_compressed: bool = False
    is_searchable: bool = False


@dataclass(frozen=True)
class Beginning:
    """The beginning of a file of ``size`` bytes, unpacked if it was compressed."""

    size: int
    content: bytes
    is_part: bool
    is_compressed: bool = False
    problem: str = ""
