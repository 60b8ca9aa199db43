"""Controls: what a place of a job looks like in the form, filled with a value or read from what was posted.

A control whose own fields can't show a value is replaced by a :class:`JsonControl`, so a job of any content goes
through the form unchanged, and what is wrong with it is told where it stands.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar, Protocol

from markupsafe import Markup
from wtforms import Field, HiddenField, PasswordField, RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.core import UnboundField

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.cwl.cwl_types import symbols_of
from cwl_ui_plugin.cwl.edam import format_name
from cwl_ui_plugin.cwl.jobs.files import formats
from cwl_ui_plugin.cwl.plan import SOURCE_TOKEN
from cwl_ui_plugin.views.job_form.file_filters import FileFilter, filter_of
from cwl_ui_plugin.views.job_form.job_path import MISSING, Place, Posted
from cwl_ui_plugin.views.job_form.markdown import to_html
from cwl_ui_plugin.views.job_form.value_text import (
    brief_type,
    canonical,
    is_line,
    is_number,
    is_plain,
    json_text,
    number_of,
    number_text,
)

MAX_RADIOS = 5
_MAX_DEFAULT = 200
_NUMBERS = ("int", "long", "float", "double")
_YES = "1"


class ControlForm(Protocol):
    """What controls need of the form that they are in."""

    is_posted: bool
    posted: Posted

    def part(self, name: str, field: UnboundField[object], value: object) -> Field:
        """Add a field of the form with a value in it, or with what was posted."""

    def has_room(self) -> bool:
        """Count a control; whether a page can show it."""

    def blank(self, place: Place) -> Control:
        """Return a control with nothing in it, whatever was posted."""


class Control:
    """A place in the form. ``problems`` is what is wrong there, in the words of CWL."""

    kind: ClassVar[str] = ""

    def __init__(self, form: ControlForm, place: Place) -> None:
        self.form = form
        self.place = place
        self.problems: list[str] = []
        self.has_bad_text = False
        """Whether something was typed that is not even a value."""
        self.null_mark: Field | None = None

    @classmethod
    def holds(cls, place: Place, value: object) -> bool:
        """Whether this kind of control can show ``value``, which is neither null nor missing."""
        raise NotImplementedError

    def fill(self, value: object) -> None:
        """Show a value; MISSING and null show nothing."""
        self.make_parts(MISSING if value is None else value)
        if value is None and not self.place.must_exist:
            self.null_mark = self.part("null", HiddenField(), _YES)

    def read(self) -> None:
        """Take over what was posted."""
        self.make_parts(MISSING)
        if f"{self.place.name}-null" in self.form.posted:
            self.null_mark = self.part("null", HiddenField(), "")

    def make_parts(self, value: object) -> None:
        """Make the fields: with ``value`` in them, or with what was posted."""
        raise NotImplementedError

    def typed(self) -> object:
        """Return the value that the fields hold, or MISSING."""
        raise NotImplementedError

    @property
    def value(self) -> object:
        """The value of the place, or MISSING."""
        value = self.typed()
        if value is not MISSING:
            return value
        return None if self.place.must_exist or (self.null_mark and self.null_mark.data == _YES) else MISSING

    def gives(self, value: object) -> bool:
        """Whether the value that was filled in comes out unchanged."""
        if value is MISSING:
            return True
        return self.value is not MISSING and canonical(self.value) == canonical(value)

    @property
    def children(self) -> tuple[Control, ...]:
        """The controls within this one."""
        return ()

    def walk(self) -> Iterator[Control]:
        """Yield this control and all within."""
        yield self
        for child in self.children:
            yield from child.walk()

    def part(self, suffix: str, field: object, value: object) -> Field:
        """Add a field to the form, with ``value`` in it or with what was posted."""
        return self.form.part(f"{self.place.name}-{suffix}" if suffix else self.place.name, field, value)

    def move(self, before: str, after: str) -> None:
        """Let the path begin with ``after`` instead of ``before``."""
        self.place = replace(self.place, path=after + self.place.path.removeprefix(before))

    @property
    def type(self) -> str:
        """The type as people write it."""
        return brief_type(self.place.declared)

    @property
    def is_required(self) -> bool:
        """Whether a job must have a value here."""
        return not self.place.is_nullable

    @property
    def doc(self) -> Markup:
        """The documentation as HTML."""
        return to_html(self.place.doc)

    @property
    def default(self) -> str:
        """The default of an input, for people; empty where there is none."""
        item = self.place.parameter
        if self.place.depth or not item.has_default or item.default is None:
            return ""
        text = json_text(item.default).replace(SOURCE_TOKEN, "")
        return text if len(text) <= _MAX_DEFAULT else f"{text[:_MAX_DEFAULT]}…"

    @property
    def formats(self) -> list[str]:
        """The formats that files here may have."""
        return formats(self.place.parameter) if self.place.depth == 0 or self.place.declared == "File" else []

    @property
    def named_formats(self) -> list[tuple[str, str]]:
        """The formats with what they are called for people."""
        return [(address, format_name(address)) for address in self.formats]

    @property
    def filter(self) -> FileFilter:
        """Which files a chooser shows first."""
        return filter_of(self.place.parameter) if self.place.declared == "File" else FileFilter()

    @property
    def patterns(self) -> list[str]:
        """The patterns of the secondary files of files here."""
        is_file = self.place.depth == 0 or self.place.declared == "File"
        return [str(entry["pattern"]) for entry in self.place.parameter.secondary_files] if is_file else []

    @property
    def has_help(self) -> bool:
        """Whether there is something to say about this place."""
        return bool(self.place.doc or self.default or (self.place.depth == 0 and (self.formats or self.patterns)))

    def attributes(self, *, is_bare: bool = False, is_group: bool = False, **more: str) -> dict[str, str]:
        """Return what assistive technology needs to know of a field; a bare one has no label of its own.

        WAI-ARIA lets only fields be required or invalid: of a group its legend and its messages say so, and two
        attributes for our own scripts and styles.
        """
        prefix = "data" if is_group else "aria"
        name = self.place.name
        described = [f"{name}-help"] * self.has_help + [f"{name}-err"] * bool(self.problems)
        found = {
            "id": name,
            "aria-label": self.place.title if is_bare else "",
            "aria-describedby": " ".join(described),
            f"{prefix}-invalid": "true" if self.problems else "",
            f"{prefix}-required": "true" if self.is_required and not self.place.must_exist else "",
            **more,
        }
        return {key: value for key, value in found.items() if value}


class TextControl(Control):
    """A text or a number."""

    kind = "text"

    @classmethod
    def holds(cls, place: Place, value: object) -> bool:
        """Hold texts of characters that a browser gives back, and where a number is meant also numbers."""
        if place.declared in _NUMBERS:
            return is_number(value) or is_line(value)
        return is_plain(value) and not (place.parameter.is_secret and "\n" in value)

    def make_parts(self, value: object) -> None:
        """Make one field, of several lines if the text has them."""
        text = "" if value is MISSING else number_text(value)
        kind = TextAreaField if "\n" in "".join([text, *self.form.posted.getlist(self.place.name)]) else StringField
        if self.place.parameter.is_secret:
            kind = PasswordField
        self.is_secret = kind is PasswordField
        self.text = self.part("", kind(), text)

    def typed(self) -> object:
        """Return the text, or the number that it is."""
        text = (self.text.data or "").replace("\r\n", "\n")
        if self.place.declared in _NUMBERS:
            return number_of(text) if text.strip() else MISSING
        is_blank_item = self.place.must_exist and not self.place.is_nullable
        return text if text or is_blank_item else MISSING

    @property
    def input_mode(self) -> str:
        """What a touch keyboard offers."""
        modes = {"int": "numeric", "long": "numeric", "float": "decimal", "double": "decimal"}
        return modes.get(str(self.place.declared), "text")


class ChoiceOfTexts(Control):
    """One of a few texts: radio buttons, or a list where there are more."""

    kind = "choice"

    @classmethod
    def symbols(cls, place: Place) -> dict[str, object]:
        """Return the value for each text that can be chosen."""
        return {symbol: symbol for symbol in symbols_of(place.declared) if symbol}

    @classmethod
    def holds(cls, place: Place, value: object) -> bool:
        """Hold the values that can be chosen."""
        return isinstance(value, (str, bool)) and value in cls.symbols(place).values()

    def make_parts(self, value: object) -> None:
        """Make one field."""
        symbols = self.symbols(self.place)
        chosen = next((text for text, known in symbols.items() if value is not MISSING and known == value), "")
        self.has_radios = len(symbols) <= MAX_RADIOS
        blank = [] if self.has_radios and not self.can_be_blank else [("", self.blank_label)]
        choices = [*blank, *((text, text) for text in symbols)]
        kind = RadioField if self.has_radios else SelectField
        self.text = self.part("", kind(choices=choices, validate_choice=False), chosen)

    def typed(self) -> object:
        """Return the chosen value; a text that can't be chosen stays a text."""
        text = self.text.data or ""
        return self.symbols(self.place).get(text, text or MISSING)

    @property
    def can_be_blank(self) -> bool:
        """Whether no choice is a good choice."""
        return self.place.is_nullable

    @property
    def blank_label(self) -> str:
        """What no choice is called."""
        return "Not set" if self.can_be_blank else "Choose…"


class BooleanControl(ChoiceOfTexts):
    """True, false, and no choice where that is allowed: a checkbox can't say that."""

    @classmethod
    def symbols(cls, place: Place) -> dict[str, object]:
        """Return the two values."""
        return {"true": True, "false": False}


class FileControl(Control):
    """A File or Directory: its location; for people who know CWL, everything else that it may have."""

    kind = "file"
    _OWN = ("class", "location", "path", "format")

    @classmethod
    def holds(cls, place: Place, value: object) -> bool:
        """Hold objects of that class, also without a location."""
        if not isinstance(value, dict) or value.get("class") != place.declared:
            return False
        own = [value[key] for key in cls._OWN[1:] if key in value]
        return all(is_line(text) for text in own) and not ("location" in value and "path" in value)

    def make_parts(self, value: object) -> None:
        """Make the fields."""
        given = value if isinstance(value, dict) else {}
        wanted = formats(self.place.parameter) if self.place.declared == "File" else []
        more = {key: part for key, part in given.items() if key not in self._OWN}
        self.location = self.part("", StringField(), given.get("location", given.get("path", "")))
        self.named_path = self.part("path", HiddenField(), _YES if "path" in given else "")
        default = wanted[0] if wanted and value is MISSING else ""
        self.format = self.part("format", StringField(), given.get("format", default))
        self.more = self.part("more", TextAreaField(), json_text(more) if more else "")

    def typed(self) -> object:
        """Return the object."""
        location, kind = self.location.data or "", self.format.data or ""
        more = self._more()
        if not location.strip() and not more:
            return MISSING
        named = {"path" if self.named_path.data == _YES else "location": location} if location.strip() else {}
        format_ = {"format": kind} if kind.strip() else {}
        return {"class": self.place.declared, **named, **format_, **more}

    def _more(self) -> dict[str, object]:
        found, problem = _json_of(self.more.data or "")
        if problem is None and found is not MISSING and not isinstance(found, dict):
            problem = 'this must be a JSON object, for instance {"secondaryFiles": [...]}'
        if problem is None and isinstance(found, dict) and (own := [key for key in self._OWN if key in found]):
            problem = f"{own[0]} has a field of its own"
        note_bad_text(self, problem)
        return found if isinstance(found, dict) and problem is None else {}


class JsonControl(Control):
    """Any value, as JSON."""

    kind = "json"

    @classmethod
    def holds(cls, place: Place, value: object) -> bool:
        """Hold everything."""
        return True

    def fill(self, value: object) -> None:
        """Show a value, also null."""
        self.make_parts(value)

    def make_parts(self, value: object) -> None:
        """Make one field; its name tells the reader of the form that it is JSON."""
        self.text = self.part("json", TextAreaField(), "" if value is MISSING else json_text(value))

    def typed(self) -> object:
        """Return the value; what is no JSON is a text."""
        found, problem = _json_of(self.text.data or "")
        note_bad_text(self, problem)
        return found


def _json_of(text: str) -> tuple[object, str | None]:
    """Return a value and what is wrong with its text."""
    if not text.strip():
        return MISSING, None
    try:
        return strict_json.loads(text), None
    except RecursionError:
        return text, "this JSON is nested too deeply"
    except ValueError as error:
        return text, f"this is no JSON: {error}"


def note_bad_text(control: Control, problem: str | None) -> None:
    """Note whether what was typed into a control is no value at all, and say so beside it."""
    control.has_bad_text = problem is not None
    if problem and problem not in control.problems:
        control.problems.append(problem)
