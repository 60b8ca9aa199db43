"""Headers of what browsers save, or show, and must not take for pages of Airflow: what users sent and runs made."""

from __future__ import annotations

from urllib.parse import quote

UNTRUSTED = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}


def saved_as(name: str) -> dict[str, str]:
    """Return the headers that make a browser save an answer under a name."""
    return {**UNTRUSTED, "Content-Disposition": f"attachment; filename*=UTF-8''{quote(sendable(name), safe='')}"}


def sendable(name: str) -> str:
    """Return a name as headers can have it: names on the disk need not be Unicode."""
    return name.encode("utf-8", "replace").decode()
