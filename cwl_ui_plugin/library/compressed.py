"""CWL documents as CWL-Airflow carried them: compressed with gzip or zlib, and that written as base64."""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from pathlib import Path

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import DocumentError
from cwl_ui_plugin.library.errors import BadUpload, UploadTooLarge
from cwl_ui_plugin.library.files import write_text
from cwl_ui_plugin.plain_words import bytes_text

_BASE64_OF_HEADERS = ("H4sI", "eJ", "eN", "eA", "eF")
"""How gzip and zlib (of each level) begin, in base64."""
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS


def is_compressed(text: str) -> bool:
    """Whether a text looks like a compressed document, and not like the path of one: base64 has no dots."""
    return text.startswith(_BASE64_OF_HEADERS) and len(text) > len("H4sI") and "." not in text


def kept_file(text: str) -> Path:
    """Return the file that the document of a Dag file is kept in; the same text is unpacked once.

    Raises:
        DocumentError: it can't be unpacked.

    """
    path = config.workflows_folder() / "dag-files" / "compressed" / f"{hashlib.sha256(text.encode()).hexdigest()}.cwl"
    if not path.is_file():
        try:
            document = decompressed(text, int(config.number("max_upload_size"))).decode()
        except (BadUpload, UnicodeDecodeError) as error:
            raise DocumentError(str(error)) from error
        config.make_folders()
        write_text(path, document)
    return path


def decompressed(text: str, most: int, option: str = "max_upload_size") -> bytes:
    """Return the document in a text; no more of it is unpacked than ``most`` bytes.

    Raises:
        UploadTooLarge: it has more bytes; ``option`` of ``[cwl]`` is what allows ``most``.
        BadUpload: the text is no base64, or not of one whole gzip or zlib stream.

    """
    try:
        packed = base64.b64decode("".join(text.split()), validate=True)
        stream = zlib.decompressobj(_GZIP_OR_ZLIB)
        document = stream.decompress(packed, most + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise BadUpload(
            f"The compressed workflow can't be read ({error}): compress the CWL document with gzip, and encode that "
            "as base64."
        ) from error
    if len(document) > most:
        raise UploadTooLarge(f"The compressed workflow unpacks to more than {bytes_text(most)} ([cwl] {option}).")
    if not stream.eof or stream.unused_data:
        raise BadUpload("The compressed workflow is cut off, or something follows it: send all of it, once.")
    return document
