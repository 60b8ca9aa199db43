"""Fix and continue: a run of a mended version, and which steps it takes over from the failed run."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from support.failed_run import Failed, document, step
from support.stored import set_run

from cwl_ui_plugin.cwl import fingerprints
from cwl_ui_plugin.cwl.plan import Parameter, Plan, Step
from cwl_ui_plugin.dags.access.grants import Continued, continued_in, read_grant
from cwl_ui_plugin.dags.conf import GRANT
from cwl_ui_plugin.services.cleaning import cleanup
from cwl_ui_plugin.services.continuing import fixes, forecasts, made
from cwl_ui_plugin.services.continuing.models import AGAIN, TAKEN, Forecast
from cwl_ui_plugin.services.errors import Conflict, InvalidJob, NotFound
from cwl_ui_plugin.services.inputs.access import InputAccess
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.signing.keys import KeyPair

MENDED = document('cat "$1"')


def outcomes(found: Forecast) -> dict[str, tuple[str, str]]:
    return {one.task_id: (one.outcome, one.reason) for one in found.steps}


def fix(failed: Failed, **more: Any) -> fixes.Begun:
    return fixes.fix_and_continue(failed.dag_id, failed.run_id, **{"user": "bob", "via": triggers.VIEW, **more})


def conf_of(failed: Failed, run_id: str) -> dict[str, Any]:
    from airflow.utils.session import create_session

    from cwl_ui_plugin.services.monitoring.queries import find_run

    with create_session(scoped=False) as session:
        return dict(find_run(session, failed.dag_id, run_id).conf)


def test_steps_that_did_not_change_are_foreseen(failed: Failed) -> None:
    failed.add(MENDED)
    found = fixes.preview(failed.dag_id, failed.run_id)
    assert outcomes(found) == {"sort": (TAKEN, ""), "count": (TAKEN, ""), "last": (AGAIN, forecasts.CHANGED)}
    assert found.gone == ()


def test_what_follows_a_change_is_foreseen_to_run(failed: Failed) -> None:
    failed.add(document('cat "$1"', sort='sort -r "$1"'))
    found = outcomes(fixes.preview(failed.dag_id, failed.run_id))
    assert found["sort"] == (AGAIN, forecasts.CHANGED)
    assert found["count"] == (AGAIN, forecasts.FOLLOWS)


def test_a_step_that_is_new_is_foreseen(failed: Failed) -> None:
    changed = document('cat "$1"')
    changed["steps"]["more"] = step('cat "$1"', "sort/out")
    failed.add(changed)
    assert outcomes(fixes.preview(failed.dag_id, failed.run_id))["more"] == (AGAIN, forecasts.NEW)


def test_the_same_version_takes_over_all_that_had_succeeded(failed: Failed) -> None:
    found = outcomes(fixes.preview(failed.dag_id, failed.run_id))
    assert found == {"sort": (TAKEN, ""), "count": (TAKEN, ""), "last": (AGAIN, forecasts.NOT_DONE)}


def test_files_that_nobody_will_read_may_be_gone(failed: Failed) -> None:
    failed.remove("sort")
    failed.add(MENDED)
    found = fixes.preview(failed.dag_id, failed.run_id)
    assert (outcomes(found)["sort"], found.gone) == ((TAKEN, ""), ("sort",))


def test_files_that_are_gone_and_read_are_made_anew_with_all_that_follows(failed: Failed) -> None:
    failed.remove("sort")
    failed.remove("count")
    failed.add(MENDED)
    found = fixes.preview(failed.dag_id, failed.run_id)
    assert outcomes(found)["sort"] == (AGAIN, forecasts.GONE)
    assert outcomes(found)["count"] == (AGAIN, forecasts.FOLLOWS)
    assert found.gone == ()


def test_files_that_the_workflow_delivers_are_read(failed: Failed) -> None:
    changed = document('cat "$1"')
    changed["outputs"]["sorted"] = {"type": "File", "outputSource": "sort/out"}
    failed.remove("sort")
    failed.add(changed)
    assert outcomes(fixes.preview(failed.dag_id, failed.run_id))["sort"] == (AGAIN, forecasts.GONE)


def test_of_a_run_whose_files_are_gone_every_step_runs_again(failed: Failed) -> None:
    assert cleanup.remove_expired(-1) == 1
    failed.add(MENDED)
    found = outcomes(fixes.preview(failed.dag_id, failed.run_id))
    assert found["sort"] == (AGAIN, forecasts.NOT_KEPT)


def test_the_new_run_has_the_version_and_its_grant_names_the_failed_one(failed: Failed) -> None:
    failed.remove("sort")
    version = failed.add(MENDED)
    begun = fix(failed)
    conf = conf_of(failed, begun.run.run_id)
    grant = read_grant(conf, dag_id=failed.dag_id, run_id=begun.run.run_id)
    assert grant is not None
    assert grant.continued == Continued(failed.run_id, ("sort",))
    assert (grant.user, continued_in(conf)) == ("bob", failed.run_id)
    assert conf["job"].keys() == {"reads"}
    from cwl_ui_plugin.services.monitoring.queries import get_run

    assert get_run(failed.dag_id, begun.run.run_id).version == version.digest
    assert fixes.followers(failed.dag_id, failed.run_id) == (begun.run.run_id,)


def test_a_caller_can_not_say_that_a_run_goes_on_from_another(failed: Failed) -> None:
    conf = conf_of(failed, failed.run_id)
    for more in ({"continued": {"run_id": failed.run_id}}, {GRANT: conf[GRANT]}):
        with pytest.raises(Exception, match=r"means nothing|mean nothing|must not have a field"):
            triggers.trigger(failed.dag_id, conf={"job": conf["job"], **more}, user="bob", via=triggers.REST)


def test_files_of_somebody_else_are_refused(failed: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__CWL__INPUT_ROOTS")
    private = failed.folders / "elsewhere"
    (failed.folders / "inputs").rename(private)
    with pytest.raises(InvalidJob, match="are gone, or are not yours"):
        fix(failed, files=InputAccess("bob", lambda _dag_id: False))


def test_inputs_that_the_version_has_not_any_more_are_left_out(failed: Failed) -> None:
    conf = conf_of(failed, failed.run_id)
    both = failed.add(document(also="string"))
    failed.run(both, failed.begin(also="x"))
    failed.add(MENDED)
    assert conf_of(failed, fix(failed).run.run_id)["job"].keys() == conf["job"].keys()


def test_inputs_that_the_version_wants_besides_are_named(failed: Failed) -> None:
    failed.add(document('cat "$1"', also="string"))
    with pytest.raises(InvalidJob, match="Give others") as caught:
        fix(failed)
    assert "also" in str(caught.value.problems[0])
    job = {**conf_of(failed, failed.run_id)["job"], "also": "x"}
    assert fix(failed, job=job).run.state == "queued"


@pytest.mark.parametrize(("state", "word"), [("running", "goes on"), ("success", "nothing to mend")])
def test_only_of_a_failed_run(failed: Failed, state: str, word: str) -> None:
    set_run(failed.dag_id, failed.run_id, state)
    with pytest.raises(Conflict, match=word):
        fix(failed)


def test_a_version_that_is_not_there_is_not_found(failed: Failed) -> None:
    with pytest.raises(NotFound, match="no version"):
        fix(failed, version="0" * 64)


def test_only_signed_runs_are_signed_by_the_server(
    failed: Failed, monkeypatch: pytest.MonkeyPatch, pair: KeyPair
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    with pytest.raises(Conflict, match="no key that it could sign with"):
        fix(failed)
    del pair


@pytest.mark.parametrize("bound", ["MAX_RECORDS", "MAX_BYTES"])
def test_results_beyond_what_is_looked_at_count_as_being_there(
    failed: Failed, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(made, bound, 1)
    assert len(made.made_in(failed.dag_id, failed.run_id).tasks) <= 1
    found = outcomes(fixes.preview(failed.dag_id, failed.run_id))
    assert found == {"sort": (TAKEN, ""), "count": (TAKEN, ""), "last": (AGAIN, forecasts.NOT_DONE)}


def test_files_beyond_what_is_looked_for_count_as_being_there(failed: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    failed.remove("sort")
    failed.remove("count")
    monkeypatch.setattr(made, "MAX_FILES", 0)
    assert outcomes(fixes.preview(failed.dag_id, failed.run_id))["count"] == (TAKEN, "")


def test_what_another_cwltool_has_run_is_foreseen_to_run(failed: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecasts, "installed_engine", lambda: "cwltool 9")
    outcome, reason = outcomes(fixes.preview(failed.dag_id, failed.run_id))["sort"]
    assert (outcome, reason.endswith("now it is cwltool 9")) == (AGAIN, True)


def test_what_another_container_engine_has_run_is_foreseen_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    contained = Step("a", "a", "a", "a", "CommandLineTool", "a", container="debian")
    by_docker = made.Made(1, engine="docker")
    monkeypatch.setenv("AIRFLOW__CWL__CONTAINER_ENGINE", "podman")
    assert "container engine docker" in forecasts._run_otherwise(contained, by_docker)
    assert forecasts._run_otherwise(replace(contained, container=None), by_docker) == ""
    monkeypatch.setenv("AIRFLOW__CWL__CONTAINER_ENGINE", "auto")
    assert forecasts._run_otherwise(contained, by_docker) == ""


def test_nothing_is_foreseen_to_be_taken_over_where_inputs_may_be_changed(failed: Failed) -> None:
    changed = document('cat "$1"')
    changed["steps"]["count"]["run"]["hints"] = {"InplaceUpdateRequirement": {"inplaceUpdate": True}}
    failed.add(changed)
    assert outcomes(fixes.preview(failed.dag_id, failed.run_id))["sort"] == (AGAIN, forecasts.CHANGES_INPUTS)


def test_documents_are_read_once(failed: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    really = fingerprints.step_document_text
    monkeypatch.setattr(
        fingerprints, "step_document_text", lambda folder, name: read.append(name) or really(folder, name)
    )
    failed.remove("sort")  # which makes it look twice
    failed.add(MENDED)
    for _time in range(3):
        fixes.preview(failed.dag_id, failed.run_id)
    assert len(read) == 6  # three steps of two versions


def deep_plan(depth: int) -> Plan:
    """Steps one after the other, each of which reads two outputs of the one before it."""
    steps = []
    for number in range(depth):
        sources = tuple(f"cwl:m#{number - 1}/{out}" for out in "ab") if number else ("cwl:m#text",)
        outputs = tuple(f"cwl:m#{number}/{out}" for out in "ab")
        name = str(number)
        steps.append(Step(name, name, name, name, "CommandLineTool", name, sources=sources, outputs=outputs))
    text = Parameter("text", "string")
    return Plan("Workflow", "v1.2", "m", None, None, (text,), (), tuple(steps), steps[-1].outputs)


@pytest.mark.parametrize("are_gone", [False, True])
def test_a_long_workflow_is_foreseen_in_no_time(monkeypatch: pytest.MonkeyPatch, are_gone: bool) -> None:
    class Documents:
        changes_in_place = False

        def __init__(self, *_places: object) -> None:
            self.plain = str

        def digest(self, *names: str) -> str:
            return "-".join(names)

    depth = 1000
    monkeypatch.setattr(forecasts, "_Documents", Documents)
    version: Any = SimpleNamespace(plan=deep_plan(depth), compiled=None, source=None, digest="x")
    tasks = {str(number): made.Made(1, is_gone=are_gone) for number in range(depth - 1)}
    found = forecasts.forecast(("d", "r"), version, version, made.MadeByRun(tasks), tasks)
    assert len(found.taken) == (0 if are_gone else depth - 1)
