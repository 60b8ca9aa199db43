"""Controls that have controls within them: lists, records, unions; and which control a place gets."""

from __future__ import annotations

from wtforms import HiddenField, SelectField, TextAreaField

from cwl_ui_plugin.cwl.cwl_types import CwlType, fields_of, items_of
from cwl_ui_plugin.cwl.jobs.files import formats
from cwl_ui_plugin.cwl.jobs.types import fits, type_text
from cwl_ui_plugin.views.job_form.controls import (
    BooleanControl,
    ChoiceOfTexts,
    Control,
    ControlForm,
    FileControl,
    JsonControl,
    TextControl,
)
from cwl_ui_plugin.views.job_form.file_lists import FilesControl
from cwl_ui_plugin.views.job_form.job_path import BLANK, MISSING, Place
from cwl_ui_plugin.views.job_form.pair_fields import PairFields, pair_fields
from cwl_ui_plugin.views.job_form.value_text import lines_of, number_of

MAX_DEPTH = 5
"""Deeper places are written as JSON."""
MAX_ITEMS = 300
"""Longer lists are written as JSON."""
MAX_OPTION = 80
_TEXTS = ("string", "int", "long", "float", "double")
_FILES = ("File", "Directory")
_MARK = "1"


class ListControl(Control):
    """A list: items that can be added, removed, moved; many lines at once where an item is one line."""

    kind = "list"

    @classmethod
    def holds(cls, place: Place, value: object) -> bool:
        """Hold lists that are not too long."""
        return isinstance(value, list) and len(value) <= MAX_ITEMS

    def make_parts(self, value: object) -> None:
        """Make an item for each value or posted item, and further ones for posted lines."""
        posted = self.form.posted
        self.mark = self.part("list", HiddenField(), "" if value is MISSING else _MARK)
        self.lines = self.part("lines", TextAreaField(), "")
        values = value if isinstance(value, list) else []
        numbers = posted.items_of(self.place.name)
        self.items = [fill_control(self.form, self.item_place(index), item) for index, item in enumerate(values)]
        self.items += [read_control(self.form, self.item_place(int(number))) for number in numbers]
        first = max((int(number) + 1 for number in numbers), default=0)
        for index, line in enumerate(lines_of(self.lines.data or "") if self.takes_lines else []):
            self.items.append(fill_control(self.form, self.item_place(first + index), self._value_of(line)))
        self._give_paths()
        self.lines.data = ""

    def typed(self) -> object:
        """Return the list; no item at all means an empty list only where there was or must be one."""
        items = [item.value for item in self.items]
        return items if items or self.mark.data == _MARK or self.place.must_exist else MISSING

    @property
    def children(self) -> tuple[Control, ...]:
        """The items."""
        return tuple(self.items)

    @property
    def takes_lines(self) -> bool:
        """Whether an item can be written as one line."""
        kind = self.item_place(0).declared
        return kind in _TEXTS or kind in _FILES or (isinstance(kind, dict) and kind["type"] == "enum")

    def item_place(self, number: int | str) -> Place:
        """Return the place of an item."""
        return self.place.inside(items_of(self.place.declared), number, f"[{number}]", must_exist=True)

    @property
    def pair_fields(self) -> PairFields | None:
        """Which fields of its records take pairs of files, by their position; None where there are no two."""
        kind = self.item_place(0).declared
        return pair_fields(kind["fields"]) if isinstance(kind, dict) and kind["type"] == "record" else None

    def blank_item(self) -> Control:
        """Return an item for a script to copy."""
        return self.form.blank(self.item_place(BLANK))

    def _value_of(self, line: str) -> object:
        kind = self.item_place(0).declared
        if kind in _FILES:
            wanted = formats(self.place.parameter) if kind == "File" else []
            return {"class": kind, "location": line, **({"format": wanted[0]} if wanted else {})}
        return line if kind == "string" or isinstance(kind, dict) else number_of(line)

    def _give_paths(self) -> None:
        """Name items by their position: in the form they have numbers that need not follow each other."""
        for index, item in enumerate(self.items):
            before, after = item.place.path, f"{self.place.path}[{index}]"
            for control in item.walk():
                control.move(before, after)


class RecordControl(Control):
    """A record: a control for each field."""

    kind = "record"

    @classmethod
    def holds(cls, place: Place, value: object) -> bool:
        """Hold mappings that have no other fields."""
        names = {field["name"] for field in fields_of(place.declared)}
        return isinstance(value, dict) and value.keys() <= names

    @property
    def has_switch(self) -> bool:
        """Whether it is said apart from its fields that the record is used: it may be left out."""
        return self.place.is_nullable and not self.place.must_exist

    @property
    def is_used(self) -> bool:
        """Whether the job has the record."""
        return self.typed() is not MISSING

    def make_parts(self, value: object) -> None:
        """Make the switch of an optional record, and the controls of the fields."""
        given = value if isinstance(value, dict) else {}
        self.switch = self.part("use", HiddenField(), "" if value is MISSING else _MARK) if self.has_switch else None
        self.fields: list[tuple[str, Control]] = []
        for index, field in enumerate(fields_of(self.place.declared)):
            name = field["name"]
            title = field.get("label") or name
            place = self.place.inside(field["type"], index, f".{name}", title=title, doc=field.get("doc"))
            self.fields.append((name, make_control(self.form, place, given.get(name, MISSING))))

    def typed(self) -> object:
        """Return the fields that are set; none of them means an empty record where one must be, or was asked for."""
        values = {name: control.value for name, control in self.fields}
        found = {name: value for name, value in values.items() if value is not MISSING}
        is_asked_for = self.switch is not None and self.switch.data == _MARK
        return found if found or is_asked_for or self.place.must_exist else MISSING

    @property
    def children(self) -> tuple[Control, ...]:
        """The fields."""
        return tuple(control for _name, control in self.fields)


class UnionControl(Control):
    """A value of one of several types: which one, and the control for it."""

    kind = "union"

    @classmethod
    def options(cls, place: Place) -> list[CwlType]:
        """Return the types to choose from."""
        return list(place.declared) if isinstance(place.declared, list) else [place.declared]

    @classmethod
    def holds(cls, place: Place, value: object) -> bool:
        """Hold values of one of the types."""
        return any(fits(option, value) for option in cls.options(place))

    def make_parts(self, value: object) -> None:
        """Make the choice, and the control of what is chosen."""
        options = self.options(self.place)
        fitting = (str(index) for index, option in enumerate(options) if value is not MISSING and fits(option, value))
        labels = [(str(index), _short(type_text(option))) for index, option in enumerate(options)]
        blank = "Not set" if self.place.is_nullable else "Choose…"
        field = SelectField(choices=[("", blank), *labels], validate_choice=False)
        self.choice = self.part("choice", field, next(fitting, ""))
        chosen = self.choice.data or ""
        self.chosen: Control | None = None
        if chosen in dict(labels):
            self.chosen = make_control(self.form, self.option_place(int(chosen)), value)

    def typed(self) -> object:
        """Return the value of what is chosen."""
        return MISSING if self.chosen is None else self.chosen.value

    @property
    def children(self) -> tuple[Control, ...]:
        """What is chosen."""
        return () if self.chosen is None else (self.chosen,)

    def option_place(self, index: int) -> Place:
        """Return the place of an alternative; its path is the union's."""
        return self.place.inside(self.options(self.place)[index], index, "", must_exist=True)

    def blank_options(self) -> list[tuple[str, Control]]:
        """Return the alternatives that are not chosen, for a script to show."""
        indexes = range(len(self.options(self.place)))
        return [
            (str(index), self.form.blank(self.option_place(index)))
            for index in indexes
            if str(index) != self.choice.data
        ]


def make_control(form: ControlForm, place: Place, value: object) -> Control:
    """Return the control of a place, with a value in it or, where a form was posted, with what was posted."""
    return read_control(form, place) if form.is_posted else fill_control(form, place, value)


def fill_control(form: ControlForm, place: Place, value: object) -> Control:
    """Return the control of a place with a value in it."""
    kind = _kind(place) if form.has_room() else JsonControl
    if value is MISSING or value is None or kind.holds(place, value):
        control = kind(form, place)
        control.fill(value)
        if control.gives(value):
            return control
    control = JsonControl(form, place)
    control.fill(value)
    return control


def read_control(form: ControlForm, place: Place) -> Control:
    """Return the control of a place with what was posted; the names of posted fields tell which control it was."""
    if not form.posted.has_within(place.name):
        return fill_control(form, place, MISSING)  # which knows a bound; a type may have millions of places
    kind = JsonControl if f"{place.name}-json" in form.posted else _kind(place)
    control = kind(form, place)
    control.read()
    return control


def _kind(place: Place) -> type[Control]:
    declared = place.declared
    if place.depth > MAX_DEPTH:
        return JsonControl
    if FilesControl.takes(place):
        return FilesControl
    if isinstance(declared, list):
        return UnionControl
    if isinstance(declared, dict):
        # Within a list, only a choice can say null; elsewhere a list or record that is null is left blank.
        if place.must_exist and place.is_nullable and declared["type"] != "enum":
            return UnionControl
        return {"array": ListControl, "enum": ChoiceOfTexts, "record": RecordControl}[declared["type"]]
    if declared in _TEXTS:
        return TextControl
    if declared in _FILES:
        return FileControl
    return BooleanControl if declared == "boolean" else JsonControl


def _short(text: str) -> str:
    return text if len(text) <= MAX_OPTION else f"{text[:MAX_OPTION]}…"
