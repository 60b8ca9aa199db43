"""The preview of a file: by its name and its beginning. Its content decides nothing but what is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import BinaryIO

from cwl_ui_plugin.opened import size_of
from cwl_ui_plugin.services.previewing.alignments import bam_preview
from cwl_ui_plugin.services.previewing.archives import tar_preview, zip_preview
from cwl_ui_plugin.services.previewing.kinds import (
    is_called_packed,
    media_kind,
    named_beginning,
    suffix_of,
    wrong_beginning,
)
from cwl_ui_plugin.services.previewing.models import BINARY, NONE, Beginning, Preview
from cwl_ui_plugin.services.previewing.sequences import FASTA, FASTQ, fasta_preview, fastq_preview
from cwl_ui_plugin.services.previewing.tables import FORMATS, table_preview
from cwl_ui_plugin.services.previewing.texts import decoded, text_preview
from cwl_ui_plugin.services.previewing.unpacking import beginning, is_gzip

MAX_SHOWN = 64 * 1024 * 1024
"""Pictures and documents beyond that are only for download."""
SHOWN_BYTES = 256
_BYTES_OF_A_LINE = 16
_START = 1024


def preview(file: BinaryIO, name: str) -> Preview:
    """Return what can be shown of an open file of that name; it is never read further than it takes."""
    size, suffix = size_of(file), suffix_of(name)
    if (media := media_kind(name)) is not None:
        return _media(file, name, media, size)
    if suffix == ".bam" and is_gzip(file):
        return bam_preview(file, size)
    if suffix == ".zip" and size:
        return zip_preview(file, size)
    if suffix == ".tar" and size:
        return tar_preview(file, size)
    return _of_content(beginning(file), name, suffix)


def _media(file: BinaryIO, name: str, kind: str, size: int) -> Preview:
    problem = wrong_beginning(name, file.read(_START))
    if size > MAX_SHOWN:
        return Preview(NONE, size, note="It is too large to be shown here.")
    return Preview(NONE if problem else kind, size, problem=problem)


def _of_content(found: Beginning, name: str, suffix: str) -> Preview:
    if is_called_packed(name) and not found.is_compressed and found.size:
        wrong = "The name says that the file is compressed with gzip, and it is not."
        found = replace(found, problem=found.problem or wrong)
    if suffix == ".bam" and found.size:
        found = replace(found, problem="This is no valid BAM: it does not begin as one.")
    words = decoded(found.content, is_part=found.is_part)
    if words is None or (found.problem and found.is_compressed and not found.content):
        return _bytes(found)
    return replace(_of_text(found, *words, suffix), is_searchable=bool(found.content))


def _of_text(found: Beginning, text: str, note: str, suffix: str) -> Preview:
    if suffix in FASTQ:
        return fastq_preview(found, text, note)
    if suffix in FASTA:
        return fasta_preview(found, text, note)
    if suffix in FORMATS and text:
        return table_preview(found, text, note, suffix)
    return text_preview(found, text, note, suffix)


def _bytes(found: Beginning) -> Preview:
    """Return what is known of something that is no text: what it may be, and its first bytes."""
    kind = named_beginning(found.content)
    return Preview(
        BINARY,
        found.size,
        text=_dump(found.content[:SHOWN_BYTES]),
        facts=(("Kind", kind),) if kind else (),
        problem=found.problem,
        is_part=found.is_part or len(found.content) > SHOWN_BYTES,
        is_compressed=found.is_compressed,
    )


def _dump(content: bytes) -> str:
    """Return bytes as numbers and as the letters among them."""
    lines = (content[at : at + _BYTES_OF_A_LINE] for at in range(0, len(content), _BYTES_OF_A_LINE))
    return "\n".join(
        f"{number * _BYTES_OF_A_LINE:04x}  {line.hex(' '):<47}  "
        + "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        for number, line in enumerate(lines)
    )
