"""After an upgrade the API server compiles stored workflows again, and says how far it is."""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from cwl_ui_plugin.cwl import compile_process
from cwl_ui_plugin.cwl.plan import FORMAT, installed_engine
from cwl_ui_plugin.library import compilations
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.answers import workflow_json
from cwl_ui_plugin.services.errors import NotFound, Unavailable
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.workflows import compilation_state, details, recompiling, versions
from cwl_ui_plugin.services.workflows.recompiling import RecompileRound, compile_again

OF_FORMAT_1 = Path(__file__).parents[2] / "library" / "stores" / "format-1"
OLD_ENGINE = "cwltool 3.3.20260925135507"
BROKEN = "cwlVersion: v1.0\nclass: CommandLineTool\ninputs: {}\n"


@pytest.fixture
def old(store: WorkflowStore) -> StoredVersion:
    """A workflow as an earlier version of the plugin has left it, two versions of it."""
    dag_id = f"count-{uuid.uuid4().hex[:8]}"
    shutil.copytree(OF_FORMAT_1 / "workflows" / "count", store.workflows / dag_id)
    return store.current(dag_id)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Which sources were compiled, in order."""
    found: list[Path] = []
    compile_in_process = compile_process.compile_in_process

    def noted(source: Path, *arguments: object, **options: object) -> object:
        found.append(source)
        return compile_in_process(source, *arguments, **options)

    monkeypatch.setattr(compile_process, "compile_in_process", noted)
    return found


def done(one_round: RecompileRound) -> None:
    one_round()
    one_round.wait()


def state_of(dag_id: str) -> str:
    return details.get_workflow(dag_id).compilation.state


def test_a_round_compiles_what_an_earlier_version_has_compiled_once(
    old: StoredVersion, store: WorkflowStore, compiled: list[Path]
) -> None:
    before = details.get_workflow(old.dag_id).compilation
    assert (before.state, before.engine) == ("outdated", OLD_ENGINE)
    assert "will be compiled" in before.message
    one_round = RecompileRound()
    done(one_round)
    done(one_round)
    done(RecompileRound())  # of another API server, or after a restart
    assert compiled == [old.source], "neither twice, nor the version that nobody uses"
    after = details.get_workflow(old.dag_id)
    assert (after.compilation.state, after.compilation.engine) == ("current", installed_engine())
    assert workflow_json(after)["warnings"] == []
    assert after.plan.format == FORMAT
    assert compilation_state.progress() is None


def test_while_it_is_compiled_it_can_be_triggered_and_pages_say_so(
    old: StoredVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    compile_in_process = compile_process.compile_in_process

    def held(*arguments: object, progress: Callable[[str], None], **options: object) -> object:
        progress("Validating")
        begun.set()
        assert go_on.wait(60)
        return compile_in_process(*arguments, progress=progress, **options)

    monkeypatch.setattr(compile_process, "compile_in_process", held)
    one_round = RecompileRound()
    one_round()
    assert begun.wait(60)
    try:
        found = details.get_workflow(old.dag_id)
        assert found.compilation.state == "compiling"
        assert "Validating" in found.compilation.message
        assert workflow_json(found)["warnings"] == [found.compilation.message]
        progress = compilation_state.progress()
        assert progress is not None
        assert (progress.total, progress.done, progress.dag_id) == (1, 0, old.dag_id)
        assert found.plan.steps[0].task_id == "count"
    finally:
        go_on.set()
        one_round.wait()
    assert state_of(old.dag_id) == "current"


def test_a_source_that_does_not_compile_any_more_needs_a_new_upload(old: StoredVersion, compiled: list[Path]) -> None:
    (old.source / "count.cwl").write_text(BROKEN)
    one_round = RecompileRound()
    done(one_round)
    done(RecompileRound())
    found = details.get_workflow(old.dag_id)
    assert compiled == [old.source]
    assert found.compilation.state == "failed"
    assert found.compilation.message.startswith("It needs a new upload: ")
    assert OLD_ENGINE in found.compilation.message
    assert found.compilation.problems[0].file == "count.cwl"
    assert found.plan.steps, "it is not lost"
    answer = workflow_json(found)
    assert answer["compilation"]["problems"][0]["file"] == "count.cwl"
    assert answer["warnings"] == [found.compilation.message]


def test_what_nobody_can_read_and_nobody_can_compile_is_said(old: StoredVersion) -> None:
    (old.source / "count.cwl").write_text(BROKEN)
    plan = old.folder / "plan.json"
    plan.write_text(plan.read_text().replace('"format": 1', '"format": 0'))
    done(RecompileRound())
    with pytest.raises(Unavailable, match="needs a new upload") as caught:
        details.get_workflow(old.dag_id)
    assert caught.value.problems
    with pytest.raises(Unavailable):
        details.workflow_graph(old.dag_id)
    assert [version.digest for version in WorkflowStore(old.folder.parents[3]).versions(old.dag_id)]


def test_a_failure_can_be_tried_again_by_hand(old: StoredVersion, compiled: list[Path]) -> None:
    text = (old.source / "count.cwl").read_text()
    (old.source / "count.cwl").write_text(BROKEN)
    one_round = RecompileRound()
    done(one_round)
    (old.source / "count.cwl").write_text(text)
    assert compile_again(old.dag_id).state == "outdated"
    done(one_round)
    assert state_of(old.dag_id) == "current"
    assert len(compiled) == 2
    with pytest.raises(NotFound):
        compile_again("nothing")


def test_what_may_pass_is_tried_once_by_each_server(old: StoredVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    from cwl_ui_plugin.cwl.errors import CompileTimeout

    tries = []

    def too_slow(*_arguments: object, **_options: object) -> None:
        tries.append(1)
        raise CompileTimeout("It took too long.")

    monkeypatch.setattr(compile_process, "compile_in_process", too_slow)
    monkeypatch.setattr(recompiling, "ROUND_SECONDS", 0.0)
    first = RecompileRound()
    done(first)
    done(first)
    assert len(tries) == 1
    assert state_of(old.dag_id) == "failed"
    done(RecompileRound())
    assert len(tries) == 2


def test_a_full_disk_is_no_failure_of_the_workflow(
    old: StoredVersion, monkeypatch: pytest.MonkeyPatch, compiled: list[Path]
) -> None:
    monkeypatch.setattr(recompiling, "ROUND_SECONDS", 0.0)
    one_round = RecompileRound()
    with monkeypatch.context() as patched:

        def full(*_arguments: object) -> None:
            raise OSError(28, "No space left on device")

        patched.setattr(compilations, "add", full)
        done(one_round)
    assert state_of(old.dag_id) == "outdated"
    done(one_round)
    assert state_of(old.dag_id) == "current"
    assert len(compiled) == 2


def test_an_earlier_version_that_is_made_current_is_compiled_then(
    old: StoredVersion, store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recompiling, "ROUND_SECONDS", 0.0)
    one_round = RecompileRound()
    done(one_round)
    (earlier,) = (version for version in store.versions(old.dag_id) if version.digest != old.digest)
    assert details.get_workflow(old.dag_id, earlier.digest).compilation.state == "outdated"
    versions.make_current(old.dag_id, earlier.digest)
    done(one_round)
    assert state_of(old.dag_id) == "current"


def test_what_unfinished_runs_are_pinned_to_is_compiled_too(
    old: StoredVersion, store: WorkflowStore, tmp_path: Path
) -> None:
    from cwl_ui_plugin.dags.registration import register

    register(old.dag_id)
    text = tmp_path / "inputs" / "text.txt"
    text.parent.mkdir(exist_ok=True)
    text.write_text("one\n")
    job = {"text": {"class": "File", "path": str(text)}}
    triggers.trigger(old.dag_id, conf={"job": job}, run_id="r", user="ada", via=triggers.REST)
    (earlier,) = (version for version in store.versions(old.dag_id) if version.digest != old.digest)
    versions.make_current(old.dag_id, earlier.digest)
    done(RecompileRound())
    assert compilations.is_compiled_here(old.folder)
    assert compilations.is_compiled_here(earlier.folder)


def test_documents_of_dag_files_are_compiled_again(folders: Path, compiled: list[Path]) -> None:
    from cwl_ui_plugin.library.documents import local_document

    document = folders / "count.cwl"
    shutil.copy(next(OF_FORMAT_1.glob("workflows/count/versions/*/source/count.cwl")), document)
    version = local_document(document, "from_file")
    plan = version.folder / "plan.json"
    plan.write_text(plan.read_text().replace(installed_engine(), OLD_ENGINE + "1"))
    compiled.clear()
    done(RecompileRound())
    assert compiled == [version.source]
    assert local_document(document, "from_file").plan.engine == installed_engine()
