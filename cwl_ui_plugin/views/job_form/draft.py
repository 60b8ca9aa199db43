"""A job on its way: what the page shows and sends, as a form or as text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cwl_ui_plugin.cwl.errors import JobError, Problem
from cwl_ui_plugin.cwl.jobs import checks, moving
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.views.job_form.form import JobForm
from cwl_ui_plugin.views.job_form.job_path import Posted
from cwl_ui_plugin.views.job_form.request_parsing import read_job

FORM = "form"
TEXT = "text"


@dataclass(frozen=True)
class Draft:
    """A job as it was written: in the form, or as text (``text`` is then what counts)."""

    plan: Plan
    form: JobForm
    source: str
    text: str

    @classmethod
    def of_job(cls, plan: Plan, job: dict[str, object], source: str = FORM) -> Draft:
        """Return a draft that holds ``job``."""
        return cls(plan, JobForm(plan, job), source, checks.job_text(plan, job))

    @classmethod
    def of_fields(cls, plan: Plan, posted: Posted, text: str = "") -> Draft:
        """Return a draft of a form that was filled in; ``text`` is shown on the other tab."""
        return cls(plan, JobForm(plan, posted=posted), FORM, text)

    @classmethod
    def of_text(cls, plan: Plan, text: str) -> Draft:
        """Return a draft of a job that was written; its form is empty where the text is no job."""
        try:
            form = JobForm(plan, read_job(text))
        except JobError:
            form = JobForm(plan)
        return cls(plan, form, TEXT, text)

    def job(self) -> dict[str, object]:
        """Return the job.

        Raises:
            JobError: the text is no job, or a field of the form that takes JSON has something else.

        """
        if self.source == TEXT:
            return read_job(self.text)
        job = self.form.job()
        if bad := self.form.bad_texts():
            raise JobError("Some fields can't be read.", tuple(bad))
        checks.check_texts(job)
        return job


def moved(job: Mapping[str, object], old: Plan | None, new: Plan) -> tuple[dict[str, object], list[Problem]]:
    """Return what of a job fits another version of its workflow, and what was left out."""
    return moving.moved(job, {item.id for item in old.inputs} if old else (), new)
