"""What is said of each option of the ``[cwl]`` section."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """One option of the section; ``default`` is text, as Airflow keeps it."""

    name: str
    default: str
    type: str
    description: str
    example: str | None = None
    is_secret: bool = False
    """Airflow hides its value, and takes it from a command or a secrets backend, too (``_cmd``, ``_secret``)."""
