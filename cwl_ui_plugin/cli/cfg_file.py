"""Changing single options of an airflow.cfg and leaving every other line, comments too, as it is."""

from __future__ import annotations

import os
import re
from pathlib import Path

_SECTION = re.compile(r"^\[(?P<name>[^\]]+)\]\s*$")


class CfgFile:
    """An airflow.cfg; changes are written by :meth:`save`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = path.read_text(encoding="utf-8")
        self._lines = self._before.splitlines()

    def get(self, section: str, name: str) -> str | None:
        """Return the value of an option, or None where it is not set: a commented line sets nothing."""
        found = self._find(section, name)
        if found is None:
            return None
        first, last = found
        value = "\n".join([self._lines[first].partition("=")[2], *self._lines[first + 1 : last]])
        return value.strip().replace("%%", "%")

    def set(self, section: str, name: str, value: str) -> None:
        """Set an option where it stands, else at the end of its section, else in a new section."""
        lines = f"{name} = {value.replace('%', '%%')}".splitlines()
        lines = [lines[0], *(line if line[:1] in (" ", "\t") else f"    {line}" for line in lines[1:])]
        found = self._find(section, name)
        if found is not None:
            self._lines[found[0] : found[1]] = lines
            return
        bounds = self._section(section)
        if bounds is None:
            self._lines += ["", f"[{section}]", *lines]
        else:
            self._lines[bounds[0] : bounds[0]] = lines

    def set_or_remove(self, section: str, name: str, value: str | None) -> None:
        """Set an option, or, with None, remove its lines."""
        found = self._find(section, name)
        if value is not None:
            self.set(section, name, value)
        elif found is not None:
            del self._lines[slice(*found)]

    def lines_with(self, text: str) -> list[str]:
        """Return the lines that set something and have a text in them."""
        return [line for line in self._lines if text in line and not line.lstrip().startswith(("#", ";"))]

    def save(self) -> None:
        """Write the file in one step, if it has changed."""
        text = "\n".join(self._lines) + "\n"
        if text == self._before:
            return
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        beside.write_text(text, encoding="utf-8")
        beside.chmod(self.path.stat().st_mode & 0o777)
        beside.replace(self.path)

    def _section(self, name: str) -> tuple[int, int] | None:
        """Return the first and the line after the last of a section's lines."""
        start = None
        for number, line in enumerate(self._lines):
            match = _SECTION.match(line)
            if match and start is not None:
                return start, number
            if match and match["name"] == name:
                start = number + 1
        return (start, len(self._lines)) if start is not None else None

    def _find(self, section: str, name: str) -> tuple[int, int] | None:
        """Return where an option stands: its first line and the one after its last; values may have several lines."""
        bounds = self._section(section)
        if bounds is None:
            return None
        for number in range(*bounds):
            if re.match(rf"{re.escape(name)}\s*=", self._lines[number]):
                last = number + 1
                while last < bounds[1] and self._lines[last][:1] in (" ", "\t") and self._lines[last].strip():
                    last += 1
                return number, last
        return None
