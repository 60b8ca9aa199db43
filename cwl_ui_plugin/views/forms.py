"""The forms of the pages."""

from __future__ import annotations

import json

from flask_wtf import FlaskForm
from flask_wtf.file import MultipleFileField
from wtforms import BooleanField, IntegerField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional, Regexp, ValidationError

from cwl_ui_plugin.reports import formats
from cwl_ui_plugin.signing.algorithms import ALGORITHMS, EDWARDS, ELLIPTIC, RSA

DAG_ID = Regexp(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", message="Use letters, digits, '_', '-' and '.'.")


class UploadForm(FlaskForm):
    """A workflow: one document, several files, or a zip."""

    files = MultipleFileField(
        "Workflow",
        description="A CWL document, with its files or a zip of them; or the RO-Crate of a run, to run it again.",
    )
    dag_id = StringField(
        "Name", validators=[Optional(), Length(max=200), DAG_ID], description="Empty: made from the file's name."
    )
    main = StringField(
        "Main document",
        validators=[Optional(), Length(max=500)],
        description="Only if it is not clear which file is meant, or to choose one of a packed document: file#name.",
    )
    replace = BooleanField("Make it a new version, if there is a workflow of that name")

    def validate_files(self, field: MultipleFileField) -> None:
        """Ask for at least one file."""
        if not [file for file in field.data or [] if file and file.filename]:
            raise ValidationError("Choose a CWL document, its files, or a zip.")


class ActionForm(FlaskForm):
    """A button: nothing but the token against requests from other sites."""


class PartForm(FlaskForm):
    """A form beside others on one page: the ids of its fields begin with ``part``."""

    part = ""

    def __init__(self, *arguments: object, **values: object) -> None:
        super().__init__(*arguments, **values)
        for field in self:
            field.id = field.label.field_id = f"{self.part}-{field.name}"


class ConnectionForm(PartForm):
    """Where reports go to."""

    part = "connection"

    schema = SelectField("Schema", choices=["http", "https"])
    host = StringField("Host", validators=[InputRequired("Give the name or address of the receiver."), Length(max=500)])
    port = IntegerField("Port", validators=[Optional(), NumberRange(1, 65535, "A port is a number from 1 to 65535.")])
    endpoint = StringField(
        "Endpoint", validators=[Optional(), Length(max=500)], description="The path before the routes: satellite/v1/"
    )
    form = SelectField(
        "Format",
        choices=[
            (formats.OURS, "cwl-ui-plugin: all fields"),
            (formats.CWL_AIRFLOW, "1.2: as CWL-Airflow 1.2"),
            (formats.PARSER, "1.0: as cwl-airflow-parser"),
        ],
        default=formats.OURS,
        description="What receivers of the predecessors expect. It counts from the next report on.",
    )
    login = StringField("Login", validators=[Optional(), Length(max=500)])
    password = PasswordField(
        "Password", validators=[Optional(), Length(max=5000)], description="Empty keeps the password that is set."
    )
    extra = TextAreaField(
        "More",
        validators=[Optional(), Length(max=20_000)],
        description='JSON: {"verify": true, false or a CA file, "timeout": seconds, "headers": {...}, '
        '"routes": {"status": "other/name"}, "retry_for": seconds}. A value shown as *** is kept.',
    )

    def validate_extra(self, field: TextAreaField) -> None:
        """Refuse what is no JSON object."""
        try:
            value = json.loads(field.data or "{}")
        except ValueError as error:
            raise ValidationError(f"This is no JSON: {error}.") from None
        if not isinstance(value, dict) or {"endpoint", "format"} & set(value):
            raise ValidationError('Give JSON as {"timeout": 10}; the endpoint and the format have fields of their own.')


class ReportKeyForm(PartForm):
    """The key that signs reports."""

    part = "report-key"

    private_key = TextAreaField(
        "Private key",
        validators=[Optional(), Length(max=20_000)],
        description="PEM. It is stored encrypted and never shown again. Empty keeps the key that is set.",
    )
    algorithm = SelectField("Algorithm", choices=list(ALGORITHMS))


class SigningKeyForm(PartForm):
    """The key that signs what is started on the page of a workflow."""

    part = "signing-key"

    private_key = TextAreaField(
        "Private key",
        validators=[InputRequired("Paste the private key."), Length(max=20_000)],
        description="PEM. It is stored encrypted and never shown again. Its public key must be among those above.",
    )


class TriggerKeyForm(PartForm):
    """The keys that verify triggers."""

    part = "trigger-key"

    public_keys = TextAreaField(
        "Public keys",
        validators=[Optional(), Length(max=100_000)],
        description="PEM; several one below the other while you change keys. Empty keeps what is set.",
    )
    algorithms = StringField(
        "Algorithms", validators=[InputRequired("Name at least one algorithm.")], description="Separated by commas."
    )


class KeyPairForm(PartForm):
    """A new key pair."""

    part = "pair"

    algorithm = SelectField("Algorithm", choices=[*RSA, *ELLIPTIC, *EDWARDS])
    keep = BooleanField("Sign reports with it from now on")


class KeyCheckForm(PartForm):
    """Keys that may belong together."""

    part = "check"

    key = TextAreaField(
        "Key",
        validators=[InputRequired("Paste a key."), Length(max=20_000)],
        description="PEM, private or public. It is compared, and not kept.",
    )
    other = TextAreaField(
        "Other key", validators=[Optional(), Length(max=20_000)], description="To compare two keys with each other."
    )
