"""What a browser without scripts would post of the form of a job: rendered to HTML, read back, sent."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from jinja2 import Environment, FileSystemLoader

from cwl_ui_plugin import resources
from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.views.job_form.form import JobForm
from cwl_ui_plugin.views.job_form.job_path import Posted

_TEMPLATES = Environment(loader=FileSystemLoader(resources.folder("templates")), autoescape=True)


def plan_with(*inputs: Parameter) -> Plan:
    """A plan of a workflow with these inputs."""
    return Plan(
        kind="Workflow", cwl_version="v1.2", main="a.cwl", label=None, doc=None, inputs=inputs, outputs=(), steps=()
    )


def html_of(form: JobForm) -> str:
    """The form as the page shows it."""
    return _TEMPLATES.get_template("cwl_ui_plugin/job_fields_only.html").render(job_form=form)


def fields_of(html: str) -> list[tuple[str, str]]:
    """Return what a browser posts of a page."""
    reader = _Reader()
    reader.feed(html)
    return reader.fields


def through_browser(plan: Plan, job: dict[str, Any]) -> dict[str, Any]:
    """Return the job after the form was filled with it, shown, and sent unchanged."""
    posted = JobForm(plan, posted=Posted(fields_of(html_of(JobForm(plan, job)))))
    assert posted.bad_texts() == []
    return posted.job()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.fields: list[tuple[str, str]] = []
        self._templates = 0
        self._area: str | None = None
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "template":
            self._templates += 1
        if self._templates or not (name := found.get("name") or self._select):
            return
        if tag == "input" and (found.get("type") not in ("radio", "checkbox") or "checked" in found):
            # A field of one line has no line breaks, whatever stands in its HTML.
            self.fields.append((name, (found.get("value") or "").replace("\n", "").replace("\r", "")))
        elif tag == "textarea":
            self._area = ""
            self.fields.append((name, ""))
        elif tag == "select":
            self._select, self._options = name, []
        elif tag == "option":
            self._options.append((found.get("value") or "", "selected" in found))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._area += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "template":
            self._templates -= 1
        elif tag == "textarea" and self._area is not None:
            lines = self._area.replace("\r\n", "\n").removeprefix("\n").split("\n")
            self.fields[-1] = (self.fields[-1][0], "\r\n".join(lines))
            self._area = None
        elif tag == "select" and self._select:
            chosen = [value for value, is_chosen in self._options if is_chosen] or [self._options[0][0]]
            self.fields.append((self._select, chosen[0]))
            self._select = None
