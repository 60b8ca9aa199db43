"""An upload can be run when it is done, and leaves nothing when it fails."""

from __future__ import annotations

import io
import os
import signal
import threading
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.stored import set_run

from cwl_ui_plugin.dags import known_dags, registration
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import BadRequest, Conflict, InvalidWorkflow, NotFound, TooLarge, Unavailable
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.workflow_models import UploadRights
from cwl_ui_plugin.services.workflows import details, upload_state, uploads
from cwl_ui_plugin.services.workflows.listing import list_workflows
from cwl_ui_plugin.services.workflows.uploads import UploadedFile

TOOL = """cwlVersion: v1.2
class: CommandLineTool
label: Say it
baseCommand: echo
inputs: {text: {type: string, inputBinding: {}}}
outputs: {said: {type: stdout}}
stdout: said.txt
"""


def sent(text: str | bytes, name: str = "say.cwl") -> list[UploadedFile]:
    return [UploadedFile(name, io.BytesIO(text.encode() if isinstance(text, str) else text))]


def fresh_id() -> str:
    return f"say-{uuid.uuid4().hex[:8]}"


def upload(text: str, dag_id: str, **options: Any) -> uploads.Upload:
    started = uploads.start_upload(sent(text), user="ada", rights=ALL, dag_id=dag_id, **options)
    return uploads.wait_upload(started.id)


ALL = UploadRights(may_see=lambda _dag_id: True, may_change=lambda _dag_id: True)


def leftovers(store: WorkflowStore) -> list[Path]:
    return [path for path in store.uploads.glob("*/*") if path.name in ("source", "compiled", "source.zip")]


@pytest.fixture
def without_cwltool(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes seconds; where it does not matter, it only writes a plan."""

    def compile_quickly(_source: Path, main: str, out: Path, **_options: object) -> None:
        from cwl_ui_plugin.cwl.plan import Plan

        out.mkdir()
        plan = Plan("CommandLineTool", "v1.2", main, None, None, (), (), ())
        (out / "plan.json").write_text(plan.to_json())

    monkeypatch.setattr(uploads, "compile_in_process", compile_quickly)


def test_an_uploaded_tool_can_be_run_at_once(store: WorkflowStore) -> None:
    started = uploads.start_upload(sent(TOOL, "Say it!.cwl"), user="ada", rights=ALL)
    assert started.dag_id == "Say-it"
    done = uploads.wait_upload(started.id)

    assert (done.state, done.user, done.problems) == ("done", "ada", ())
    run = triggers.trigger("Say-it", conf={"job": {"text": "hi"}}, user="ada", via=triggers.REST)
    assert run.state == "queued"
    detail = details.get_workflow("Say-it")
    assert detail.version.digest == done.digest
    assert detail.summary.label == "Say it"
    assert detail.sources == ("Say it!.cwl",)
    assert leftovers(store) == []


def test_a_broken_document_is_explained_and_nothing_is_stored(store: WorkflowStore) -> None:
    dag_id = fresh_id()
    with pytest.raises(InvalidWorkflow) as failure:
        upload(TOOL.replace("baseCommand", "baseComand"), dag_id)
    assert any(problem.line for problem in failure.value.problems)
    assert "baseComand" in str([problem.message for problem in failure.value.problems])
    assert dag_id not in store
    assert leftovers(store) == []


USING_TWO = (
    "inputs: {}, outputs: {}, requirements: {SubworkflowFeatureRequirement: {}}, "
    "steps: {s: {run: '#two', in: {}, out: []}}"
)
TWO_WORKFLOWS = """cwlVersion: v1.2
$graph:
- {class: Workflow, id: one, inputs: {}, outputs: {}, steps: {}}
- {class: Workflow, id: two, label: The second, inputs: {}, outputs: {}, steps: {}}
"""


def test_which_process_is_meant_is_asked_and_can_be_answered(store: WorkflowStore) -> None:
    dag_id = fresh_id()
    with pytest.raises(InvalidWorkflow, match="#one, #two") as caught:
        upload(TWO_WORKFLOWS, dag_id)
    assert caught.value.choices == ("say.cwl#one", "say.cwl#two")
    assert dag_id not in store
    assert upload(TWO_WORKFLOWS, dag_id, main=caught.value.choices[1]).message == "Ready to run"
    assert details.get_workflow(dag_id).plan.label == "The second"


def test_which_process_was_taken_is_said(store: WorkflowStore) -> None:
    used = TWO_WORKFLOWS.replace("inputs: {}, outputs: {}, steps: {}", USING_TWO, 1)
    dag_id = fresh_id()
    assert "'one', the one workflow" in upload(used, dag_id).message
    assert store.current(dag_id).main == "say.cwl#one"


def test_an_unsupported_version_is_told_apart(store: WorkflowStore) -> None:
    with pytest.raises(InvalidWorkflow) as failure:
        upload(TOOL.replace("v1.2", "v9.9"), fresh_id())
    assert "v9.9" in failure.value.message + str(failure.value.problems)


@pytest.mark.usefixtures("without_cwltool")
def test_a_second_upload_needs_replace(store: WorkflowStore) -> None:
    dag_id = fresh_id()
    first = upload(TOOL, dag_id)
    with pytest.raises(Conflict, match="already"):
        upload(TOOL + "# changed", dag_id)
    assert upload(TOOL, dag_id).digest == first.digest  # the same again is no conflict
    second = upload(TOOL + "# changed", dag_id, replace=True)
    assert second.digest != first.digest
    assert store.current(dag_id).digest == second.digest
    assert upload(TOOL, dag_id, replace=True).digest == first.digest
    assert store.current(dag_id).digest == first.digest
    assert len(store.versions(dag_id)) == 2


def test_what_is_known_already_is_not_written_again(
    store: WorkflowStore, without_cwltool: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag_id = fresh_id()
    first = upload(TOOL, dag_id)
    written: list[str] = []
    monkeypatch.setattr(registration, "register", written.append)
    again = upload(TOOL, dag_id)
    assert (again.state, again.digest) == ("done", first.digest)
    assert written == []
    monkeypatch.setattr(known_dags, "is_settled", lambda _dag_id: False)
    upload(TOOL, dag_id)
    assert written == [dag_id]


def test_other_dags_are_not_replaced(store: WorkflowStore, other_dag: str) -> None:
    for taken in (other_dag, "clean_dag_run"):
        with pytest.raises(Conflict):
            upload(TOOL, taken, replace=True)
    assert leftovers(store) == []


@pytest.mark.parametrize("dag_id", ["a/b", "a..b", "-a", "a b", "x" * 201, "ä"])
def test_a_name_that_is_no_dag_id_is_refused(store: WorkflowStore, dag_id: str) -> None:
    with pytest.raises(BadRequest, match="dag_id"):
        upload(TOOL, dag_id)


def test_an_upload_that_is_too_large_is_refused(store: WorkflowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UPLOAD_SIZE", "100")
    with pytest.raises(TooLarge, match="max_upload_size"):
        upload(TOOL, fresh_id())
    assert leftovers(store) == []


def test_a_zip_that_leads_out_of_its_folder_is_refused(store: WorkflowStore) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("../evil.cwl", TOOL)
    with pytest.raises(BadRequest, match="leads out"):
        uploads.start_upload(sent(packed.getvalue(), "evil.zip"), user="ada", rights=ALL)
    assert leftovers(store) == []


@pytest.mark.usefixtures("without_cwltool")
@pytest.mark.parametrize("before", ["nothing", "a version", "a deleted workflow"])
def test_if_registering_fails_the_store_is_as_before(
    store: WorkflowStore, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    dag_id = fresh_id()
    if before != "nothing":
        upload(TOOL, dag_id)
    if before == "a deleted workflow":
        details.delete_workflow(dag_id)
    state = store.manifest()
    monkeypatch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", "[]")

    with pytest.raises(Unavailable, match="dag_bundle_config_list"):
        upload(TOOL + "# changed", dag_id, replace=True)
    assert store.manifest() == state


@pytest.mark.usefixtures("without_cwltool")
def test_uploads_of_one_name_at_the_same_time_leave_one_whole_workflow(store: WorkflowStore) -> None:
    dag_id = fresh_id()
    ends: list[uploads.Upload | Exception] = []

    def one(number: int) -> None:
        try:
            ends.append(upload(f"{TOOL}# {number}", dag_id))
        except Exception as error:
            ends.append(error)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)

    won = [end for end in ends if isinstance(end, uploads.Upload)]
    assert len(ends) == 6
    assert len(won) == 1
    assert all(isinstance(end, (Conflict, uploads.Upload)) for end in ends)
    assert store.current(dag_id).digest == won[0].digest
    assert len(store.versions(dag_id)) == 1


def test_a_tool_outside_of_a_container_is_refused_where_the_site_requires_one(
    store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    dag_id, contained = fresh_id(), fresh_id()
    upload(TOOL, dag_id)
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_CONTAINER", "True")
    monkeypatch.setenv("AIRFLOW__CWL__ALLOWED_IMAGES", "debian, quay.io/biocontainers/*")
    for name in (dag_id, contained):  # also what is there already
        with pytest.raises(InvalidWorkflow) as caught:
            upload(TOOL, name)
        assert "[cwl] require_container" in str(caught.value.problems[0])
    assert contained not in store
    docker = "requirements: {DockerRequirement: {dockerPull: debian}}\n"
    assert upload(TOOL + docker, contained).state == "done"
    with pytest.raises(InvalidWorkflow) as caught:
        upload(TOOL + docker.replace("debian", "evil.example/x"), fresh_id())
    assert "evil.example/x:latest" in str(caught.value.problems[0])
    (node,) = (node for node in details.workflow_graph(dag_id)["nodes"] if node["kind"] == "step")
    assert "[cwl] require_container" in node["refused"]


def server_that_dies(dag_id: str) -> tuple[int, str]:
    """Fork an API server that never comes to the end of an upload; return its pid, and the upload."""
    reading, writing = os.pipe()
    if pid := os.fork():
        os.close(writing)
        with os.fdopen(reading) as told:
            return pid, told.read()
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(uploads, "compile_in_process", lambda *_given, **_options: threading.Event().wait())
            started = uploads.start_upload(sent(TOOL), user="ada", rights=ALL, dag_id=dag_id)
            os.write(writing, started.id.encode())
            os.close(writing)
            signal.pause()
    finally:
        os._exit(1)


def test_an_upload_whose_server_died_reads_as_failed(store: WorkflowStore) -> None:
    server, upload_id = server_that_dies(fresh_id())
    assert uploads.get_upload(upload_id).state == "validating"
    os.kill(server, signal.SIGKILL)
    os.waitpid(server, 0)
    dead = uploads.get_upload(upload_id)
    assert dead.state == "failed"
    assert "upload it again" in dead.message
    with pytest.raises(Unavailable):
        uploads.wait_upload(upload_id)


@pytest.mark.usefixtures("without_cwltool")
def test_old_uploads_are_swept(store: WorkflowStore) -> None:
    old = upload(TOOL, fresh_id())
    os.utime(store.uploads / old.id, (0, 0))
    upload(TOOL, fresh_id())
    with pytest.raises(NotFound):
        uploads.get_upload(old.id)


def test_a_sweep_does_not_mind_what_removes_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone, old = tmp_path / uuid.uuid4().hex, tmp_path / uuid.uuid4().hex
    old.mkdir()
    os.utime(old, (0, 0))
    monkeypatch.setattr(Path, "iterdir", lambda _self: iter([gone, old]))
    upload_state.sweep(tmp_path)
    assert not old.exists()


@pytest.mark.parametrize("upload_id", ["..", "x" * 32, "0" * 32, "../../workflows"])
def test_an_unknown_upload_is_not_found(store: WorkflowStore, upload_id: str) -> None:
    with pytest.raises(NotFound):
        uploads.get_upload(upload_id)


def test_lists_show_what_is_asked_for(add: Callable[..., StoredVersion], workflow: str, run_id: str) -> None:
    other = fresh_id()
    add(other, "two")
    assert [found.dag_id for found in list_workflows([workflow]).items] == [workflow]
    assert {found.dag_id for found in list_workflows(search="count LINES").items} == {workflow, other}
    assert [found.dag_id for found in list_workflows(search=other).items] == [other]
    shown = list_workflows([workflow]).items[0]
    assert (shown.last_run_id, shown.last_run_state, shown.steps) == (run_id, "queued", 2)


def test_sources_are_read_from_the_upload_only(workflow: str) -> None:
    assert details.source_text(workflow, "main.cwl") == "one"
    for path in ("../version.json", "/etc/passwd", "gone.cwl", ""):
        with pytest.raises(NotFound):
            details.source_text(workflow, path)


def test_a_deleted_workflow_can_not_be_run_but_its_runs_stay(workflow: str, run_id: str) -> None:
    from cwl_ui_plugin.services.monitoring import queries

    with pytest.raises(Conflict, match=f"have not ended: {run_id}. Stop them"):
        details.delete_workflow(workflow)
    assert details.get_workflow(workflow).summary.dag_id == workflow
    set_run(workflow, run_id, "success")
    details.delete_workflow(workflow)
    with pytest.raises(NotFound):
        details.get_workflow(workflow)
    with pytest.raises(NotFound):
        details.delete_workflow(workflow)
    with pytest.raises(NotFound):
        triggers.trigger(workflow, conf={"job": {"text": "x"}}, user="ada", via=triggers.REST)
    assert queries.get_run(workflow, run_id).summary.state == "success"
