"""Jobs of any content go through the form unchanged, and what is typed into it never breaks it."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.browser_form import fields_of, html_of, plan_with, through_browser

from cwl_ui_plugin.cwl import input_hints
from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.views.job_form.form import JobForm
from cwl_ui_plugin.views.job_form.job_path import Posted
from cwl_ui_plugin.views.job_form.markdown import to_html
from cwl_ui_plugin.views.job_form.value_text import canonical

SLOW = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
LEAVES = st.sampled_from(["string", "int", "long", "float", "double", "boolean", "File", "Directory", "Any"])
ENUMS = st.lists(st.text(string.ascii_letters, min_size=1, max_size=3), min_size=1, max_size=8, unique=True).map(
    lambda symbols: {"type": "enum", "symbols": symbols}
)
FIELD_NAMES = st.lists(st.text(string.ascii_lowercase + "-_.[]", min_size=1, max_size=4), max_size=3, unique=True)


def compounds(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    fields = st.tuples(FIELD_NAMES, st.lists(inner, min_size=3, max_size=3)).map(
        lambda pair: [{"name": name, "type": kind} for name, kind in zip(*pair, strict=False)]
    )
    return st.one_of(
        inner.map(lambda kind: {"type": "array", "items": kind}),
        fields.map(lambda found: {"type": "record", "name": "r", "fields": found}),
        st.lists(inner.filter(lambda kind: not isinstance(kind, list)), min_size=1, max_size=3).map(
            lambda kinds: ["null", *kinds]
        ),
    )


TYPES = st.recursive(LEAVES | ENUMS, compounds, max_leaves=6)
FILES = st.fixed_dictionaries(
    {"class": st.sampled_from(["File", "Directory"])},
    optional={
        "location": TEXTS,
        "path": TEXTS,
        "format": TEXTS,
        "contents": TEXTS,
        "secondaryFiles": st.lists(st.just({"class": "File", "location": "x"}), max_size=2),
    },
)
NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS | FILES
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)


def values_of(declared: Any) -> st.SearchStrategy[Any]:
    """Values of a type, and sometimes others."""
    if isinstance(declared, list):
        return st.one_of(*(values_of(part) for part in declared))
    if not isinstance(declared, dict):
        return SCALARS if declared != "Any" else VALUES
    if declared["type"] == "array":
        return st.lists(values_of(declared["items"]), max_size=4) | SCALARS
    if declared["type"] == "enum":
        return st.sampled_from(declared["symbols"]) | TEXTS
    fields = {field["name"]: values_of(field["type"]) for field in declared["fields"]}
    return st.fixed_dictionaries({}, optional=fields) | VALUES


@SLOW
@given(st.data())
def test_a_job_of_any_content_comes_out_as_it_went_in(data: st.DataObject) -> None:
    types = data.draw(st.lists(TYPES, min_size=1, max_size=3))
    plan = plan_with(*(Parameter(id=f"i{index}", type=kind) for index, kind in enumerate(types)))
    job = data.draw(
        st.fixed_dictionaries(
            {}, optional={f"i{index}": values_of(kind) for index, kind in enumerate(types)} | {"x": VALUES}
        )
    )
    assert canonical(through_browser(plan, job)) == canonical(job)


@SLOW
@given(st.data())
def test_whatever_is_posted_gives_a_job_and_a_page(data: st.DataObject) -> None:
    kind = data.draw(TYPES)
    plan = plan_with(Parameter(id="a", type=kind))
    suffixes = ["", "-0", "-0-0", "-1", "-json", "-null", "-list", "-lines", "-choice", "-more", "-path", "-0-json"]
    names = st.sampled_from([f"in-0{suffix}" for suffix in suffixes])
    values = st.sampled_from(["", "0", "1", "true", "x", "{", "[1]", "NaN", "1e999", "9" * 50]) | st.text(max_size=5)
    form = JobForm(plan, posted=Posted(data.draw(st.lists(st.tuples(names, values), max_size=12))))
    form.show([Problem("wrong", input="a[0].b"), Problem("wrong", input=None), *form.bad_texts()])
    again = JobForm(plan, posted=Posted(fields_of(html_of(form))))
    assert json.loads(canonical(form.job())).keys() <= {"a"}
    assert again.job().keys() <= form.job().keys()


@pytest.mark.parametrize(
    ("kind", "typed", "value"),
    [
        ("int", " 12 ", 12),
        ("long", "9007199254740993", 9007199254740993),
        ("double", "1e-5", 1e-5),
        ("double", "NaN", "NaN"),
        ("double", "1e999", "1e999"),
        ("int", "12 apples", "12 apples"),
        ("string", " x ", " x "),
        ("boolean", "false", False),
        ("File", "a b.txt", {"class": "File", "location": "a b.txt"}),
        ({"type": "enum", "symbols": ["a", "b"]}, "b", "b"),
    ],
)
def test_what_is_typed_becomes_a_value(kind: Any, typed: str, value: Any) -> None:
    form = JobForm(plan_with(Parameter(id="a", type=kind)), posted=Posted([("in-0", typed)]))
    assert canonical(form.job()) == canonical({"a": value})


def test_items_are_in_the_order_of_the_page_and_named_by_it() -> None:
    plan = plan_with(Parameter(id="a", type={"type": "array", "items": "int"}))
    form = JobForm(plan, posted=Posted([("in-0-7", "1"), ("in-0-2", "x"), ("in-0-lines", "3\n\n 4 ")]))
    assert form.job() == {"a": [1, "x", 3, 4]}
    form.show([Problem("expected int", input="a[1]")])
    assert 'id="in-0-2-err" role="alert">expected int' in html_of(form)


def test_a_file_gets_the_format_that_its_input_takes() -> None:
    plan = plan_with(Parameter(id="a", type="File", format="http://edamontology.org/format_1929"))
    fields = [(name, "a.fa" if name == "in-0" else value) for name, value in fields_of(html_of(JobForm(plan)))]
    job = JobForm(plan, posted=Posted(fields)).job()
    assert job == {"a": {"class": "File", "location": "a.fa", "format": "http://edamontology.org/format_1929"}}


def test_a_form_has_a_bound_for_what_it_shows() -> None:
    kind: Any = "string"
    for _level in range(6):
        kind = {"type": "record", "name": "r", "fields": [{"name": f"f{index}", "type": kind} for index in range(8)]}
    job = {"a": ["x"] * 5000}
    plan = plan_with(Parameter(id="deep", type=kind), Parameter(id="a", type={"type": "array", "items": "string"}))
    assert through_browser(plan, job) == job
    assert len(html_of(JobForm(plan, job))) < 3_000_000


def test_a_posted_form_has_a_bound_too() -> None:
    kind: Any = "string"
    for _level in range(5):
        kind = {"type": "record", "name": "r", "fields": [{"name": f"f{index}", "type": kind} for index in range(50)]}
    form = JobForm(plan_with(Parameter(id="a", type=kind)), posted=Posted([("in-0-3-2-0-1-4", "x")]))
    assert form.job() == {"a": {"f3": {"f2": {"f0": {"f1": {"f4": "x"}}}}}}
    assert len(html_of(form)) < 3_000_000


@pytest.mark.parametrize("namespace", ["sd:", "https://scidap.com/"])
def test_the_hints_of_scidap_are_honoured(namespace: str) -> None:
    plan = plan_with(
        Parameter(id="plain", type="string"),
        Parameter(id="second", type="string", extras={f"{namespace}preview": {"position": 2}}),
        Parameter(id="optional", type=["null", "int"], extras={f"{namespace}preview": {"position": 1}}),
        Parameter(id="first", type="string", extras={f"{namespace}preview": {"position": 1, "label": "Alias"}}),
        Parameter(id="threads", type=["null", "int"], extras={f"{namespace}layout": {"advanced": True}}),
        Parameter(id="odd", type="string", extras={f"{namespace}preview": {"position": "x"}}, label="Odd"),
    )
    assert [item.id for item in input_hints.ordered(plan.inputs)] == [
        "optional",
        "first",
        "second",
        "plain",
        "threads",
        "odd",
    ]
    assert [input_hints.title(item) for item in plan.inputs] == [
        "plain",
        "second",
        "optional",
        "Alias",
        "threads",
        "Odd",
    ]
    html = html_of(JobForm(plan))
    assert html.index("Advanced inputs") < html.index('id="in-4"')


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,x)",
        "![x](http://evil.example.org/pixel.png)",
        "<script>alert(1)</script>",
    ],
)
def test_markdown_can_do_no_harm(text: str) -> None:
    html = to_html(text)
    assert not any(part in html for part in ("<img", "<script", 'href="javascript', 'href="data'))


def test_markdown_is_shown_as_such() -> None:
    html = to_html("Some **bold** text, see [this](https://example.org).\n\n# A heading\n\nBelow\n---\n\n###### Deep")
    assert "<strong>bold</strong>" in html
    assert 'href="https://example.org"' in html
    assert 'rel="noopener noreferrer nofollow"' in html
    assert ("<h3>A heading</h3>" in html, "<h4>Below</h4>" in html, "<h6>Deep</h6>" in html) == (True, True, True)
    assert ("<h1>" in html, "<h2>" in html) == (False, False)
