"""Places of object stores as paths, so that claims, grants and rights are the same for folders and for stores.

``s3://connection@bucket/prefix/key`` is ``/dev/null/stores/s3/bucket/prefix/key``: no file can ever be there, so that
whoever takes such a path for one of a disk gets an error, and writes nothing. A path knows no connection.
"""

from __future__ import annotations

import re
from pathlib import Path

STORES = Path("/dev/null/stores")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(?:[^/]*@)?([^/@]+)/?(.*)", re.DOTALL)
_NOT_STORES = ("file", "local", "http", "https", "drs")


def path_of(address: object) -> Path | None:
    """Return the path of an address in a store; None for what is none."""
    match = _ADDRESS.fullmatch(address) if isinstance(address, str) and "\0" not in address else None
    if match is None or match[1].lower() in _NOT_STORES:
        return None
    return STORES.joinpath(match[1].lower(), match[2], *filter(None, match[3].split("/")))


def address_of(path: Path) -> str | None:
    """Return the address of a path in a store, without connection; None for a path of a disk."""
    if not path.is_relative_to(STORES) or len(parts := path.relative_to(STORES).parts) < 2:
        return None
    scheme, bucket, *key = parts
    return f"{scheme}://{bucket}/{'/'.join(key)}"


def is_stored(path: Path) -> bool:
    """Whether a path is one in a store."""
    return path.is_relative_to(STORES)


def bucket_of(path: Path) -> Path | None:
    """Return the path of the bucket that a path is in; None for a path of a disk."""
    return STORES.joinpath(*path.relative_to(STORES).parts[:2]) if is_stored(path) else None


def text_of(path: Path) -> str:
    """Return what users call a path: its address, or the path itself."""
    return address_of(path) or str(path)
