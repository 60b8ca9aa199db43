"""What file formats are called: EDAM's names instead of its addresses, and the extensions that such files have.

``edam_formats.json`` has the names and a few extensions (CC BY-SA 4.0; made by ``tools/edam.py``); the extensions of
formats that most workflows use stand here.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import TypedDict

_ADDRESS = re.compile(r"(?:https?://(?:www\.)?edamontology\.org/|edam:)format_([0-9]{1,6})")
_FASTQ = ("fastq", "fq")
_COMMON: dict[str, tuple[str, ...]] = {
    "1929": ("fasta", "fa", "fna", "faa", "ffn", "fas"),
    "1930": _FASTQ,
    "1931": _FASTQ,
    "1932": _FASTQ,
    "1933": _FASTQ,
    "1936": ("gb", "gbk", "genbank"),
    "1964": ("txt",),
    "1974": ("gff",),
    "1975": ("gff3", "gff"),
    "2182": _FASTQ,
    "2200": ("fasta", "fa", "fna"),
    "2306": ("gtf",),
    "2331": ("html", "htm"),
    "2332": ("xml",),
    "2572": ("bam",),
    "2573": ("sam",),
    "3003": ("bed",),
    "3004": ("bigbed", "bb"),
    "3005": ("wig",),
    "3006": ("bigwig", "bw"),
    "3007": ("psl",),
    "3009": ("2bit",),
    "3016": ("vcf",),
    "3020": ("bcf",),
    "3327": ("bai",),
    "3462": ("cram",),
    "3464": ("json",),
    "3468": ("xls",),
    "3475": ("tsv", "tab", "txt"),
    "3508": ("pdf",),
    "3547": ("png", "jpg", "jpeg", "tif", "tiff", "svg"),
    "3579": ("jpg", "jpeg"),
    "3590": ("h5", "hdf5"),
    "3591": ("tif", "tiff"),
    "3603": ("png",),
    "3604": ("svg",),
    "3620": ("xlsx",),
    "3700": ("tbi",),
    "3752": ("csv",),
    "3750": ("yaml", "yml"),
    "3987": ("zip",),
    "3989": ("gz",),
}
_PACKED = frozenset(
    ("fastq", "fq", "fasta", "fa", "fna", "faa", "ffn", "fas", "gtf", "gff", "gff3", "vcf", "bed", "tsv", "csv", "txt")
)
"""Extensions of texts, which are often compressed: ``.gz`` may follow."""


class _Table(TypedDict):
    names: dict[str, str]
    extensions: dict[str, list[str]]


def format_name(address: str) -> str:
    """Return what a format is called for people: EDAM's name of it; the address itself where it is another's."""
    found = _ADDRESS.fullmatch(address)
    if found and (name := _table()["names"].get(found[1])):
        return name
    return address


def extensions(address: str) -> tuple[str, ...]:
    """Return the extensions that files of a format have, without their first dot; empty where they are not known."""
    found = _ADDRESS.fullmatch(address)
    if not found:
        return ()
    plain = _COMMON.get(found[1]) or tuple(_table()["extensions"].get(found[1], ()))
    return (*plain, *(f"{name}.gz" for name in plain if name in _PACKED))


@cache
def _table() -> _Table:
    text = (files("cwl_ui_plugin.cwl") / "edam_formats.json").read_text(encoding="utf-8")
    table: _Table = json.loads(text)
    return table
