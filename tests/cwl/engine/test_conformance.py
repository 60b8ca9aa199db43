"""Conformance tests through step documents, task by task, without Airflow."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import yaml
from cwltest.compare import CompareFail, compare
from support.compiled_run import run_compiled

from cwl_ui_plugin.cwl.compiler import compiling
from cwl_ui_plugin.cwl.engine import run_settings
from cwl_ui_plugin.cwl.engine.confines import Confines
from cwl_ui_plugin.cwl.errors import CwlError
from cwl_ui_plugin.cwl.jobs.types import FileRules

SUITE = Path(__file__).resolve().parents[2] / "conformance"
TESTS = {test["id"]: test for test in yaml.safe_load((SUITE / "conformance_tests.yaml").read_text())}


def ending(test: dict[str, Any], folder: Path, answer: Any) -> None:
    """Run a test in this process, and send how it ended."""
    try:
        compiling.compile_document(SUITE, test["tool"], folder / "compiled")
        confines = Confines(FileRules(base=SUITE, roots=(SUITE,)), (folder.resolve(),))
        outputs = run_compiled(
            folder / "compiled", SUITE, job_of(test), folder / "run", job_requirements=True, confines=confines
        )
        compare(test.get("output") or {}, outputs)
        answer.send("passed")
    except (CwlError, CompareFail) as error:
        answer.send(f"failed: {error} {getattr(error, 'problems', '')}")


def job_of(test: dict[str, Any]) -> dict[str, Any]:
    from cwltool.load_tool import jobloaderctx
    from schema_salad.ref_resolver import Loader

    if not test.get("job"):
        return {}
    job, _metadata = Loader(dict(jobloaderctx)).resolve_ref((SUITE / test["job"]).as_uri(), checklinks=False)
    return {key: value for key, value in json.loads(json.dumps(job)).items() if key != "id"}


@pytest.fixture(scope="module", autouse=True)
def loaded() -> None:
    """Load the schemas once; the tests' processes inherit them."""
    from cwltool.process import get_schema

    run_settings.preload()
    for version in ("v1.1", "v1.2", "v1.3.0-dev1"):
        get_schema(version)


@pytest.mark.parametrize("name", TESTS)
def test_it_ends_as_the_suite_says(name: str, tmp_path: Path) -> None:
    """Each in a process of its own, as Airflow's tasks are: cwltool keeps state between documents."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=ending, args=(TESTS[name], tmp_path, sender))
    process.start()
    process.join(timeout=120)
    how = receiver.recv() if receiver.poll() else f"no answer, exit code {process.exitcode}"
    assert how.partition(":")[0] == ("failed" if TESTS[name].get("should_fail") else "passed"), how
