"""What the job of a schedule becomes for a run; and that nobody can write a template that does more."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest

from cwl_ui_plugin.dags.job_templates import MAX_TEMPLATE, TemplateError, is_template, literal, rendered, values_of

AT = datetime(2026, 3, 1, 6, tzinfo=timezone.utc)
RUN = SimpleNamespace(
    run_id="scheduled__x", dag_id="count", logical_date=AT, data_interval_start=AT, data_interval_end=AT, run_after=AT
)


def filled(value: Any, run: Any = RUN) -> Any:
    return rendered({"x": value}, values_of(run))["x"]


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("{{ ds }}", "2026-03-01"),
        ("{{ ds_nodash }}", "20260301"),  # a text, not a number
        ("{{ ts_nodash }}", "20260301T060000"),
        ("day {{ ds }} of {{ run_id }}\n", "day 2026-03-01 of scheduled__x\n"),
        ("{{ logical_date }}", "2026-03-01T06:00:00+00:00"),
        ("at {{ data_interval_end }}", "at 2026-03-01T06:00:00+00:00"),
        ("{{ logical_date.year }}", 2026),
        ("{{- logical_date.month * 2 -}}", 6),
        ("{{ logical_date.day == 1 }}", True),
        ("{{ [ds, 1.5, none] }}", ["2026-03-01", 1.5, None]),
        ("{{ ds | replace('-', '/') }}", "2026/03/01"),
        ("{{ ds.split('-') | join('/') }}", "2026/03/01"),
        ("{{ 2.567 | round(1) }}", 2.6),
        ("{{ {'day': ds} | tojson }}", '{"day": "2026-03-01"}'),
        ("{{ (logical_date - logical_date.subtract(days=3)).total_days() }}", 3.0),
        ("{{ logical_date.subtract(days=1) | ds }}", "2026-02-28"),
        ("{{ data_interval_start.in_timezone('Asia/Tokyo').strftime('%H:%M') }}", "15:00"),
        ("{{ ds if logical_date.day == 1 else run_id }}", "2026-03-01"),
        ("{{ '{{' }} is literal", "{{ is literal"),
        ("no template", "no template"),
        (7, 7),
        ({"class": "File", "path": "/in/{{ ds }}.csv"}, {"class": "File", "path": "/in/2026-03-01.csv"}),
        ([{"deep": ["{{ ds }}"]}], [{"deep": ["2026-03-01"]}]),
    ],
)
def test_templates_are_filled_in(template: Any, value: Any) -> None:
    result = filled(template)
    assert result == value
    assert type(result) is type(value)


def test_a_value_may_have_a_name_of_python() -> None:
    assert rendered({"x": "{{ context }}", "y": "{{ args }}!"}, {"args": "a", "context": "b"}) == {"x": "b", "y": "a!"}
    with pytest.raises(TemplateError, match="which no input can be"):
        rendered({"x": "{{ self }}"}, {"self": "a"})


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ nope }}", "'nope' is undefined"),
        ("{{ ds", "unexpected end"),
        ("{{ ds | center(1000000000) }}", "No filter named 'center'"),
        ("{% for a in [1] %}{{ a }}{% endfor %}", "no statements"),
        ("{% set a = 1 %}", "no statements"),
        ("{{ ds.__class__.__mro__ }}", "unsafe"),
        ("{{ ''.join }}", "unsafe"),
        ("{{ '{:>1000000000}'.format(1) }}", "unsafe"),
        ("{{ ds.zfill(1000000000) }}", "unsafe"),
        ("{{ 'a' * 1000000000 }}", "numbers only"),
        ("{{ [1] * 1000000000 }}", "numbers only"),
        ("{{ '%1000000000d' % 1 }}", "numbers only"),
        ("{{ 9 ** 999999999 }}", "for nothing"),
        ("{{ range(1000000000) | list }}", "'range' is undefined"),
        ("{{ lipsum(100000) }}", "'lipsum' is undefined"),
        ("{{ self._TemplateReference__context }}", "unsafe"),
        ("{{ logical_date.__init__.__globals__ }}", "unsafe"),
        ("{{ logical_date.tzinfo }}", "no input can be"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ ds | join('" + "a" * 3000 + "') | join('" + "b" * 900 + "') }}", "longer than"),
        ("{{ 5 | round(-1000000000) }}", "more than 100 digits"),
        ("{{ 1.5 | round(1000000000, 'ceil') }}", "more than 100 digits"),
        ("{{ {'a': 1} | tojson(indent=1000000000) }}", "indent"),
        ("{{ ds | replace('', '" + "é" * 900 + "') | replace('', '" + "é" * 900 + "') }}", "longer than"),
        ("{{ (logical_date.add(years=7000) - logical_date) | max }}", "not iterable"),
        ("{{ ds.strip(*(logical_date.add(years=7000) - logical_date)) }}", "must be an iterable"),
        ("{{ logical_date.next(2.5) }}", "whole number"),
        ("{{ logical_date.previous(day_of_week=2.5) }}", "whole number"),
        ("{{ " + "(" * 300 + "1" + ")" * 300 + " }}", "nested|too many"),
        ("{{ ds }}" + "x" * MAX_TEMPLATE, "more than 4096 characters"),
    ],
)
def test_what_can_t_be_filled_in_is_refused_with_its_place(template: str, reason: str) -> None:
    began = time.process_time()
    with pytest.raises(TemplateError, match=reason) as error:
        rendered({"x": 1, "records": [{"name": template}]}, values_of(RUN))
    assert error.value.problems[0].input == "records[0].name"
    assert time.process_time() - began < 5  # bounded, not quick


def test_a_run_without_a_date_has_no_ds() -> None:
    run = SimpleNamespace(run_id="r", dag_id="count", logical_date=None, run_after=AT)
    assert filled("{{ run_after | ds }}", run) == "2026-03-01"
    with pytest.raises(TemplateError, match="'ds' is undefined; there are dag_id, run_after, run_id"):
        filled("{{ ds }}", run)


def test_every_problem_is_told() -> None:
    with pytest.raises(TemplateError) as error:
        rendered({"a": "{{ x }}", "b": "{{ y }}", "c": "{{ ds }}"}, values_of(RUN))
    assert [problem.input for problem in error.value.problems] == ["a", "b"]


@pytest.mark.parametrize("text", ["{{ ds }}", "a {% b", "{{ '{' }}", "{# {{ #}", "plain {"])
def test_the_job_of_a_run_can_be_taken_as_it_is(text: str) -> None:
    assert filled(literal(text)) == text
    assert is_template(literal(text)) == is_template(text)
