"""The form of a job: a WTForms form whose fields are made from the inputs of a workflow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from wtforms.fields.core import Field, UnboundField
from wtforms.form import BaseForm

from cwl_ui_plugin.cwl import input_hints
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.jobs.checks import FOLDERS, shows_default
from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.views.job_form.compounds import fill_control, make_control
from cwl_ui_plugin.views.job_form.controls import Control, JsonControl
from cwl_ui_plugin.views.job_form.job_path import MISSING, PREFIX, Place, Posted, allows_null, without_null

MAX_CONTROLS = 2000
"""What is beyond them is written as JSON: a page must stay one that a browser can show."""
_SHOWN_FOLDERS = ("output_folder", "tmp_folder")
_FOLDER_DOCS = {
    "tmp_folder": "Where the run keeps its intermediate files, in this workflow's folder for them.",
    "output_folder": "Where outputs go to, in this workflow's folder for outputs. No other run may have it.",
}


@dataclass(frozen=True)
class Input:
    """An input of the workflow with its control."""

    parameter: Parameter
    control: Control

    @property
    def is_advanced(self) -> bool:
        """Whether most people need not see it: the workflow says so, and it has no value."""
        return input_hints.is_advanced(self.parameter) and self.control.value is MISSING and not self.control.problems


class JobForm(BaseForm):
    """A job to fill in: empty, with the values of ``job``, or with what was ``posted``."""

    def __init__(self, plan: Plan, job: dict[str, object] | None = None, posted: Posted | None = None) -> None:
        super().__init__({})
        self.is_posted = posted is not None
        self.posted = posted or Posted(())
        self._room = MAX_CONTROLS
        given = job or {}
        ids = {item.id: f"{PREFIX}-{index}" for index, item in enumerate(plan.inputs)}
        self.inputs = [
            Input(item, make_control(self, _place(item, ids[item.id]), given.get(item.id, MISSING)))
            for item in input_hints.ordered(plan.inputs)
        ]
        self.folders = self._folders({name for name in FOLDERS if name not in ids}, given)
        rest = {name: value for name, value in given.items() if name not in ids and name not in FOLDERS}
        place = _extra_place("rest", "Other keys", "Keys of the job that are no inputs, as JSON.")
        self.rest = JsonControl(self, replace(place, path=":rest"))
        self.rest.fill(rest or MISSING)

    def job(self) -> dict[str, object]:
        """Return the job that the form holds; where a text is no value at all, see :meth:`bad_texts`."""
        rest = self.rest.value
        named = [(item.parameter.id, item.control) for item in self.inputs] + self.folders
        values = {name: control.value for name, control in named}
        found = {name: value for name, value in values.items() if value is not MISSING}
        return {**(rest if isinstance(rest, dict) else {}), **found}

    def bad_texts(self) -> list[Problem]:
        """Return what was typed as JSON and is none."""
        self.job()
        found = [
            Problem(message, input=control.place.path)
            for control in self._controls()
            if control.has_bad_text
            for message in control.problems
        ]
        if not self.rest.has_bad_text and self.rest.value is not MISSING and not isinstance(self.rest.value, dict):
            self.rest.problems = ["this must be a JSON object"]
            found.append(Problem(self.rest.problems[0], input=self.rest.place.path))
        return found

    def show(self, problems: Iterable[Problem]) -> None:
        """Put each problem beside the control of its place, or of the nearest place around it."""
        controls = {control.place.path: control for control in self._controls()}
        for problem in problems:
            path = problem.input or ""
            while path and path not in controls:
                path = path[: max(path.rfind("."), path.rfind("["), 0)]
            control = controls.get(path)
            if control and problem.message not in control.problems:
                control.problems.append(problem.message)

    def field_of(self, problem: Problem) -> str | None:
        """Return the name of the control that shows a problem."""
        where = problem.input or ""
        shown = (control for control in self._controls() if problem.message in control.problems)
        return next((control.place.name for control in shown if where.startswith(control.place.path)), None)

    def default_of(self, item: Input) -> Control | None:
        """Return a control with the default of an input, to start from; None where fields of one line show it."""
        is_compound = item.control.kind in ("list", "files", "record", "union", "json")
        if not is_compound or not shows_default(item.parameter) or item.control.value is not MISSING:
            return None
        return fill_control(_Copy(self), item.control.place, item.parameter.default)

    @property
    def extras_are_used(self) -> bool:
        """Whether the job has more than inputs."""
        extras = [self.rest, *(control for _name, control in self.folders)]
        return any(control.value is not MISSING or control.problems for control in extras)

    def part(self, name: str, field: UnboundField[object], value: object) -> Field:
        """Add a field of the form with a value in it, or with what was posted."""
        self[name] = field
        made = self[name]
        made.process(self.posted if name in self.posted else None, data=value)
        return made

    def has_room(self) -> bool:
        """Count a control; whether a page can show it."""
        self._room -= 1
        return self._room >= 0

    def blank(self, place: Place) -> Control:
        """Return a control with nothing in it, whatever was posted."""
        return fill_control(_Copy(self), place, MISSING)

    def _controls(self) -> Iterator[Control]:
        for item in self.inputs:
            yield from item.control.walk()
        for _name, control in self.folders:
            yield control
        yield self.rest

    def _folders(self, names: set[str], given: Mapping[str, object]) -> list[tuple[str, Control]]:
        posted = {name for name in names if any(f"{PREFIX}-{name}{end}" in self.posted for end in ("", "-json"))}
        wanted = {*_SHOWN_FOLDERS, *given, *posted}
        shown = [name for name in FOLDERS if name in names and name in wanted]
        controls = ((name, _extra_place(name, name, _FOLDER_DOCS.get(name), "string")) for name in shown)
        return [(name, make_control(self, place, given.get(name, MISSING))) for name, place in controls]


class _Copy(JobForm):
    """The part of a form that templates for scripts are made with: nothing was posted into it."""

    def __init__(self, form: JobForm) -> None:
        BaseForm.__init__(self, {})
        self._original = form
        self.is_posted = False
        self.posted = Posted(())

    def has_room(self) -> bool:
        return self._original.has_room()


def _place(item: Parameter, name: str) -> Place:
    return Place(
        declared=without_null(item.type),
        name=name,
        path=item.id,
        title=input_hints.title(item),
        parameter=item,
        doc=item.doc,
        is_nullable=item.is_optional or allows_null(item.type),
    )


def _extra_place(name: str, title: str, doc: str | None, declared: str = "Any") -> Place:
    return Place(
        declared=declared,
        name=f"{PREFIX}-{name}",
        path=name,
        title=title,
        parameter=Parameter(id=name, type=["null", declared]),
        doc=doc,
        is_nullable=True,
    )
