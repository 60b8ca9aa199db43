"""Every document of a conformance suite gives a form, and every job of the suite goes through it unchanged.

``SUITE=folder`` names another suite than the one in the repository.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from support.browser_form import fields_of, html_of, through_browser

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.errors import CwlError
from cwl_ui_plugin.cwl.jobs.checks import read_job
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.views.job_form.form import JobForm
from cwl_ui_plugin.views.job_form.job_path import Posted
from cwl_ui_plugin.views.job_form.value_text import canonical

HERE = Path(__file__).resolve().parents[1] / "conformance"
SUITE = Path(os.environ.get("SUITE") or HERE).resolve()
TESTS = yaml.safe_load((SUITE / "conformance_tests.yaml").read_text())
PAIRS = sorted({(test["tool"], test.get("job") or "") for test in TESTS if "tool" in test})


def plan_text(tool: str) -> str | None:
    """Return the plan of a document, or None for one that does not load."""
    with TemporaryDirectory() as folder:
        try:
            return compiling.compile_document(SUITE, tool, Path(folder) / "compiled").to_json()
        except CwlError:
            return None


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan | None]:
    """The plans of all documents, compiled in another process: cwltool keeps state."""
    tools = sorted({tool for tool, _job in PAIRS})
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:
        texts = list(pool.map(plan_text, tools))
    return {tool: Plan.from_json(text) if text else None for tool, text in zip(tools, texts, strict=True)}


def job_of(name: str) -> dict[str, Any]:
    return read_job((SUITE / name).read_text()) if name else {}


def test_most_documents_load(plans: dict[str, Plan | None]) -> None:
    assert sum(plan is not None for plan in plans.values()) > len(plans) * 0.9


@pytest.mark.parametrize(("tool", "job"), PAIRS)
def test_a_job_goes_through_the_form_unchanged(plans: dict[str, Plan | None], tool: str, job: str) -> None:
    plan = plans[tool]
    if plan is None:
        return
    assert canonical(through_browser(plan, job_of(job))) == canonical(job_of(job))


@pytest.mark.parametrize("tool", sorted({tool for tool, _job in PAIRS}))
def test_a_form_that_nobody_touched_is_the_empty_job(plans: dict[str, Plan | None], tool: str) -> None:
    plan = plans[tool]
    if plan is None:
        return
    assert JobForm(plan, posted=Posted(fields_of(html_of(JobForm(plan))))).job() == {}
