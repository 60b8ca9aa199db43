"""How large a job may be is an option, counted in characters, whichever way the job comes."""

from __future__ import annotations

import io
import json

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from cwl_ui_plugin import config
from cwl_ui_plugin.config import ConfigError
from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.plan import Parameter, Plan
from cwl_ui_plugin.services.errors import TooLarge
from cwl_ui_plugin.views.job_form import request_parsing
from cwl_ui_plugin.views.job_form.draft import TEXT, Draft
from cwl_ui_plugin.views.job_form.form import JobForm

PLAN = Plan(
    kind="Workflow",
    cwl_version="v1.2",
    main="a.cwl",
    label=None,
    doc=None,
    inputs=(Parameter(id="a", type={"type": "array", "items": "string"}),),
    outputs=(),
    steps=(),
)
NAMED = r"longer than 20 characters \(\[cwl\] max_job_size\)"


def request_with(text: str) -> Request:
    file = (io.BytesIO(text.encode()), "job.yml")
    return Request(EnvironBuilder(method="POST", data={"job": file}).get_environ())


@pytest.fixture
def small(airflow_home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_JOB_SIZE", "20")


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("letter", ["x", "é", "漢", "🧬"])
def test_characters_are_counted_and_not_bytes(letter: str) -> None:
    fitting = f"a: {letter * 17}"
    assert request_parsing.text_of(request_with(fitting), "job") == fitting
    assert request_parsing.read_job(fitting) == {"a": letter * 17}
    for more in (1, 100):
        with pytest.raises(TooLarge, match=NAMED):
            request_parsing.text_of(request_with(fitting + letter * more), "job")
        with pytest.raises(JobError, match=NAMED):
            request_parsing.read_job(fitting + letter * more)


@pytest.mark.usefixtures("small")
def test_a_job_written_on_the_page_is_bound_too() -> None:
    with pytest.raises(JobError, match=NAMED):
        Draft(PLAN, JobForm(PLAN), TEXT, "a: [1234567890, 1234567890]").job()


@pytest.mark.usefixtures("airflow_home")
def test_a_site_may_allow_more(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps({"a": ["x" * 100] * 50_000})
    with pytest.raises(TooLarge, match="longer than 4194304 characters"):
        request_parsing.text_of(request_with(text), "job")
    monkeypatch.setenv("AIRFLOW__CWL__MAX_JOB_SIZE", str(len(text)))
    assert len(request_parsing.read_job(request_parsing.text_of(request_with(text), "job"))["a"]) == 50_000


@pytest.mark.usefixtures("airflow_home")
@pytest.mark.parametrize("value", ["0", "-1", "nan", "inf", "many"])
def test_the_option_must_be_a_number_of_characters(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_JOB_SIZE", value)
    with pytest.raises(ConfigError, match="max_job_size"):
        config.max_job_size()


@pytest.mark.usefixtures("airflow_home")
def test_triggers_may_be_signed_in_that_size(monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.dags.access import permits
    from cwl_ui_plugin.services import signatures

    monkeypatch.setattr(signatures, "variable", lambda _name: "a key")
    monkeypatch.setattr("airflow.sdk.Variable.get", lambda _name, **_more: "RS256")
    monkeypatch.setattr("cwl_ui_plugin.signing.triggers.parse_algorithms", lambda _text: ("RS256",))
    monkeypatch.setenv("AIRFLOW__CWL__MAX_JOB_SIZE", "8000000")
    policy = signatures.trigger_policy()
    assert policy is not None
    assert policy.longest == permits._policy().longest == 32_000_000
