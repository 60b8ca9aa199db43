"""What the page asks for besides the inputs: the run's name, and how the job is written."""

from __future__ import annotations

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import HiddenField, RadioField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Regexp

from cwl_ui_plugin.views.job_form.draft import FORM, TEXT


class TriggerForm(FlaskForm):
    """A run: its name, the version of the workflow that the page was made for, the job, and a signature."""

    run_id = StringField(
        "Run ID",
        validators=[
            InputRequired("Give the run a name."),
            Length(max=250),
            Regexp(r"^[A-Za-z0-9_~:+-][A-Za-z0-9_.~:+-]*$", message="Use letters, digits and '_.~:+-'."),
        ],
    )
    digest = HiddenField()
    source = RadioField("Job", choices=[(FORM, "Form"), (TEXT, "YAML or JSON")], validate_choice=False, default=FORM)
    job = TextAreaField("Job", description="The inputs, as YAML or JSON.")
    job_file = FileField("Import a job file")
    conf = HiddenField()
    """The exact JSON text that ``check_payload`` signs, made by the page; empty where it does not sign."""
    check_payload = HiddenField(validators=[Length(max=200_000)])
