"""Which kind of file one is: by its name, and by how it begins, which may contradict its name."""

from __future__ import annotations

from pathlib import PurePosixPath

from cwl_ui_plugin.services.previewing.models import HTML, IMAGE, PDF

IMAGES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".bmp": "image/bmp",
    ".avif": "image/avif",
}
MEDIA_TYPES = {**IMAGES, ".pdf": "application/pdf", ".html": "text/html", ".htm": "text/html", ".xhtml": "text/html"}
"""Of what a browser may show itself; everything else is sent as bytes or as plain text."""
PACKED = (".gz", ".bgz", ".bgzf")
_SIGNATURES = {
    ".png": (b"\x89PNG\r\n\x1a\n",),
    ".jpg": (b"\xff\xd8\xff",),
    ".jpeg": (b"\xff\xd8\xff",),
    ".gif": (b"GIF87a", b"GIF89a"),
    ".bmp": (b"BM",),
    ".webp": (b"RIFF",),
}
_PDF_WITHIN = 1024
"""Bytes in which a reader looks for the mark of a PDF."""
_BEGINNINGS = (
    (b"\x89HDF\r\n\x1a\n", "HDF5"),
    (b"CDF", "NetCDF"),
    (b"CRAM", "CRAM: `samtools view -H` shows its header"),
    (b"BCF", "BCF: `bcftools view -h` shows its header"),
    (b"BAI\1", "an index of a BAM file"),
    (b"TBI\1", "an index of tabix"),
    (b"CSI\1", "an index of tabix or of a BAM file"),
    (b"PAR1", "Apache Parquet"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x93NUMPY", "an array of NumPy"),
    (b"PK\3\4", "a zip archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\0", "compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x7fELF", "a program or library of Linux"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"RDX", "data of R"),
    (b"\x80\x04\x95", "a pickle of Python"),
)


def suffix_of(name: str) -> str:
    """Return the ending of a name in small letters, without that of gzip: ``.vcf`` of ``a.VCF.gz``."""
    path = PurePosixPath(name.lower())
    if path.suffix == ".tgz":
        return ".tar"
    return PurePosixPath(path.stem).suffix if path.suffix in PACKED else path.suffix


def is_called_packed(name: str) -> bool:
    """Whether a file is called as if it were compressed with gzip."""
    return name.lower().endswith((*PACKED, ".tgz"))


def media_kind(name: str) -> str | None:
    """Return what a browser shows a file as; None for what it does not show itself."""
    suffix = PurePosixPath(name.lower()).suffix
    if suffix not in MEDIA_TYPES:
        return None
    return IMAGE if suffix in IMAGES else PDF if suffix == ".pdf" else HTML


def wrong_beginning(name: str, start: bytes) -> str:
    """Return why a picture or document can't be what its name says; empty where it can."""
    suffix = PurePosixPath(name.lower()).suffix
    if not start:
        return "The file is empty."
    is_wrong = suffix in _SIGNATURES and not start.startswith(_SIGNATURES[suffix])
    if is_wrong or (suffix == ".pdf" and b"%PDF" not in start[:_PDF_WITHIN]):
        found = named_beginning(start)
        return (
            f"The name ends in {suffix}, but the file does not begin so{f': it looks like {found}' if found else ''}."
        )
    return ""


def named_beginning(start: bytes) -> str:
    """Return what a file is by its first bytes; empty for what is not known."""
    return next((name for mark, name in _BEGINNINGS if start.startswith(mark)), "")
