"""Lists of files in the form: one field with a line for each file, so that a thousand of them stay a form.

A line is where a file is, as a path or a URI, or a whole File or Directory object as JSON of one line. Scripts show the
lines as a list of names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import ClassVar

from wtforms import HiddenField, TextAreaField

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.cwl.cwl_types import CwlType
from cwl_ui_plugin.cwl.jobs.files import formats
from cwl_ui_plugin.views.job_form.controls import Control, ControlForm, note_bad_text
from cwl_ui_plugin.views.job_form.file_filters import FileFilter, filter_of
from cwl_ui_plugin.views.job_form.job_path import MISSING, Place
from cwl_ui_plugin.views.job_form.value_text import is_line

MAX_FILES = 10_000
"""Longer lists are written as JSON."""
_KINDS = ("File", "Directory")
_LINE_ENDS = re.compile(r"\r\n|\r|\n")
_MARK = "1"


class FileLine(Control):
    """A file of a list: a line, and what is wrong with it."""

    kind = "line"

    def __init__(self, form: ControlForm, place: Place, value: object, name: str) -> None:
        super().__init__(form, place)
        self.name = name
        """What the file is called."""
        self._value = value

    def typed(self) -> object:
        """Return the File or Directory object."""
        return self._value


class FilesControl(Control):
    """A list of files or folders, or, where the type says so, one file or a list of them."""

    kind: ClassVar[str] = "files"

    @classmethod
    def takes(cls, place: Place) -> bool:
        """Whether a type is a list of files or folders, or one of these and a list of the same."""
        return _item_kind(place.declared) is not None and not (place.must_exist and place.is_nullable)

    @classmethod
    def holds(cls, place: Place, value: object) -> bool:
        """Hold a list of File or Directory objects, and where that is allowed a single one."""
        files = [value] if isinstance(value, dict) and isinstance(place.declared, list) else value
        kind = _item_kind(place.declared)
        return (
            isinstance(files, list)
            and len(files) <= MAX_FILES
            and all(isinstance(file, dict) and file.get("class") == kind for file in files)
        )

    def make_parts(self, value: object) -> None:
        """Make the field, and a line for each file in it."""
        self.item_kind = _item_kind(self.place.declared) or "File"
        self.takes_one = isinstance(self.place.declared, list)
        given = [] if value is MISSING else value if isinstance(value, list) else [value]
        self.mark = self.part("list", HiddenField(), _MARK if isinstance(value, list) else "")
        self.lines = self.part("lines", TextAreaField(), "\n".join(map(self._line_of, given)))
        self.files = list(self._files())

    def typed(self) -> object:
        """Return the list, or the one file; no file at all means an empty list only where there was or must be one."""
        values = [file.value for file in self.files]
        if self.takes_one and self.mark.data != _MARK and len(values) < 2:
            return values[0] if values else MISSING
        return values if values or self.mark.data == _MARK or self.place.must_exist else MISSING

    @property
    def children(self) -> tuple[Control, ...]:
        """The lines."""
        return tuple(self.files)

    @property
    def wrong_files(self) -> list[tuple[int, FileLine]]:
        """The lines that something is wrong with, each with its position."""
        return [(index, file) for index, file in enumerate(self.files) if file.problems]

    @property
    def filter(self) -> FileFilter:
        """Which files a chooser shows first."""
        return filter_of(self.place.parameter) if self.item_kind == "File" else FileFilter()

    @property
    def patterns(self) -> list[str]:
        """The patterns of the secondary files."""
        entries = self.place.parameter.secondary_files if self.item_kind == "File" else ()
        return [str(entry["pattern"]) for entry in entries]

    def _files(self) -> Iterator[FileLine]:
        texts = (text.strip() for text in _LINE_ENDS.split(self.lines.data or ""))
        is_one = self.takes_one and self.mark.data != _MARK
        lines = [text for text in texts if text]
        for index, text in enumerate(lines):
            value = self._value_of(index, text)
            path = f"{self.place.path}" if is_one and len(lines) == 1 else f"{self.place.path}[{index}]"
            place = self.place.inside(self.item_kind, index, path.removeprefix(self.place.path), must_exist=True)
            yield FileLine(self.form, place, value, _name_of(value))

    def _value_of(self, index: int, text: str) -> dict[str, object]:
        if not text.startswith("{"):
            return self._plain(text)
        try:
            value: object = strict_json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            return value
        note_bad_text(self, f"line {index + 1} begins like JSON, and is none")
        return self._plain(text)

    def _plain(self, location: str) -> dict[str, object]:
        wanted = formats(self.place.parameter) if self.item_kind == "File" else []
        return {"class": self.item_kind, "location": location, **({"format": wanted[0]} if wanted else {})}

    def _line_of(self, value: dict[str, object]) -> str:
        location = value.get("location")
        if isinstance(location, str) and _is_plain_line(location) and self._plain(location) == value:
            return location
        text = json.dumps(value, ensure_ascii=False)
        return text if _is_plain_line(text, "") else json.dumps(value)


def _item_kind(declared: CwlType) -> str | None:
    """Return File or Directory for a list of these, and for a union of one and its list."""
    if isinstance(declared, dict) and declared["type"] == "array" and declared["items"] in _KINDS:
        return str(declared["items"])
    if isinstance(declared, list) and len(declared) == 2:
        kinds = [part if part in _KINDS else _item_kind(part) for part in declared if not isinstance(part, list)]
        if len(kinds) == 2 and kinds[0] == kinds[1] and any(part in _KINDS for part in declared):
            return kinds[0]
    return None


def _is_plain_line(text: str, mark: str = "{") -> bool:
    is_one = is_line(text) and len(text.splitlines()) == 1 and text == text.strip()
    return is_one and not (mark and text.startswith(mark))


def _name_of(value: dict[str, object]) -> str:
    name = value.get("basename") or str(value.get("location") or value.get("path") or "").rstrip("/").rpartition("/")[2]
    return str(name)
