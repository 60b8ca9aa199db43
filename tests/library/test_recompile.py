"""Stored workflows survive upgrades: they are compiled anew from their source, once, and can be used meanwhile."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.compiled_run import run_compiled
from support.older_cwltool import older_release, with_older_cwltool

from cwl_ui_plugin.cwl import compile_process
from cwl_ui_plugin.cwl.errors import CompileTimeout, DocumentError
from cwl_ui_plugin.cwl.plan import FORMAT, read_plan, step_document_text
from cwl_ui_plugin.library import compilations, recompile
from cwl_ui_plugin.library.errors import NotCompiled
from cwl_ui_plugin.library.recompile import is_due, usable
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion

OF_FORMAT_1 = Path(__file__).parent / "stores" / "format-1"
"""What the plugin wrote before its plans had format 2."""


@pytest.fixture
def store(tmp_path: Path) -> WorkflowStore:
    """Return a store that an earlier version of the plugin has written."""
    return WorkflowStore(Path(shutil.copytree(OF_FORMAT_1, tmp_path / "store")))


@pytest.fixture
def compilations_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the main files of what is compiled from now on."""
    made: list[str] = []
    compile_in_process = compile_process.compile_in_process

    def counted(source: Path, main: str, *arguments: object, **options: object) -> object:
        made.append(main)
        return compile_in_process(source, main, *arguments, **options)

    monkeypatch.setattr(compile_process, "compile_in_process", counted)
    return made


def write_format(version: StoredVersion, number: int) -> None:
    """Let a version look as if another version of the plugin had compiled it."""
    path = version.folder / "plan.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": number}))


def run_count(version: StoredVersion, folder: Path) -> str:
    """Run the tool of the stores, task by task; return what it has counted."""
    folder.mkdir()
    (folder / "text.txt").write_text("one\ntwo\n")
    job = {"text": {"class": "File", "path": str(folder / "text.txt")}}
    result = run_compiled(version.compiled, version.source, job, folder / "run")
    return Path(result["count"]["path"]).read_text().split()[0]


def greetings(version: StoredVersion, folder: Path) -> list[str]:
    """Run the workflow of the stores, which scatters, has a subworkflow and a step with a condition."""
    result = run_compiled(version.compiled, version.source, {"names": ["Ada", "Joan"], "loud": True}, folder)
    assert (result["total"], result["shouted"]) == (2, "HELLO!")
    return [Path(card["path"]).read_text().strip() for card in result["cards"]]


def test_a_store_of_an_earlier_version_is_used_as_it_is_and_then_compiled_anew(
    store: WorkflowStore, tmp_path: Path
) -> None:
    before = store.current("count")
    assert before.compiled == before.folder
    assert is_due(before)
    assert run_count(before, tmp_path / "before") == "8"

    recompile.recompile(before)

    after = store.current("count")
    assert not is_due(after)
    assert (after.compiled.parent, after.plan.format) == (after.folder / "compiled", FORMAT)
    assert read_plan(after.folder).format == 1, "what runs on their way have read stays"
    assert after.revision == before.revision
    assert run_count(after, tmp_path / "after") == "8"


def test_every_workflow_of_an_earlier_version_has_the_same_tasks_afterwards(store: WorkflowStore) -> None:
    manifest = store.manifest()
    for dag_id in store.dag_ids():
        recompile.recompile(store.current(dag_id))
        version = store.current(dag_id)
        assert version.plan.layout == read_plan(version.folder).layout
        assert step_document_text(version.compiled, "start") == step_document_text(version.folder, "start")
    assert store.manifest() == manifest, "runs that are pinned to it go on"


def test_many_at_once_compile_once(store: WorkflowStore, compilations_made: list[str]) -> None:
    version = store.current("count")
    threads = [threading.Thread(target=recompile.recompile, args=(version,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert compilations_made == ["count.cwl"]
    assert compilations.is_compiled_here(version.folder)


def test_several_processes_compile_once(store: WorkflowStore) -> None:
    version = store.current("count")
    code = (
        "import sys; from pathlib import Path; from cwl_ui_plugin.library import compilations, recompile\n"
        "from cwl_ui_plugin.library.store import WorkflowStore\n"
        "from cwl_ui_plugin.cwl import compile_process as c; real = c.compile_in_process\n"
        "c.compile_in_process = lambda *a, **k: (print('compiled'), real(*a, **k))[1]\n"
        f"recompile.recompile(WorkflowStore(Path({str(store.root)!r})).current('count'))"
    )
    children = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [child.communicate(timeout=240)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0, 0]
    assert "".join(said).split() == ["compiled"]
    assert compilations.is_compiled_here(version.folder)


def test_one_that_was_killed_while_it_compiled_leaves_nothing_in_the_way(store: WorkflowStore) -> None:
    version = store.current("count")
    left = compilations.staging_folder(version.folder)
    left.mkdir()
    (left / "plan.json").write_text("{")
    recompile.recompile(version)
    assert not left.exists()
    assert compilations.is_compiled_here(version.folder)


def test_a_source_that_no_longer_compiles_says_why_and_stays_usable(
    store: WorkflowStore, tmp_path: Path, compilations_made: list[str]
) -> None:
    version = store.current("count")
    (version.source / "count.cwl").write_text("cwlVersion: v1.0\nclass: CommandLineTool\ninputs: {}\noutputz: {}\n")
    with pytest.raises(DocumentError, match="not valid CWL"):
        recompile.recompile(version)
    failed = compilations.failure(version.folder)
    assert failed is not None
    assert not failed.may_pass
    assert [problem.file for problem in failed.problems] == ["count.cwl"]
    assert run_count(store.current("count"), tmp_path / "run") == "8"
    with pytest.raises(DocumentError, match="not valid CWL"):
        recompile.recompile(version)
    assert compilations_made == ["count.cwl"], "it is not tried again and again"
    assert not is_due(version)


def test_a_failure_that_may_pass_is_told_from_one_of_the_document(
    store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_slow(*_arguments: object, **_options: object) -> None:
        raise CompileTimeout("It took too long.")

    version = store.current("count")
    with monkeypatch.context() as patched:
        patched.setattr(compile_process, "compile_in_process", too_slow)
        with pytest.raises(CompileTimeout):
            recompile.recompile(version)
    failed = compilations.failure(version.folder)
    assert failed is not None
    assert failed.may_pass
    compilations.forget_failure(version.folder)
    recompile.recompile(version)
    assert compilations.is_compiled_here(version.folder)


def test_a_format_that_nobody_reads_any_more_is_compiled_where_it_is_needed(
    store: WorkflowStore, tmp_path: Path
) -> None:
    version = store.current("count")
    write_format(version, 0)
    with pytest.raises(NotCompiled, match="format 0"):
        _plan = version.plan
    pinned = store.pinned("count", store.manifest()["count"])
    assert run_count(usable(pinned), tmp_path / "run") == "8"
    assert store.manifest()["count"] == version.digest


def test_a_format_of_a_later_version_is_not_read(store: WorkflowStore) -> None:
    version = store.current("count")
    recompile.recompile(version)
    (own,) = (version.folder / "compiled").glob(f"{FORMAT}-*")
    own.rename(own.with_name("99-cwltool-9.9.20990101"))
    assert store.current("count").compiled == version.folder
    write_format(version, 98)
    with pytest.raises(NotCompiled):
        _plan = store.current("count").plan


def renamed_tasks(version: StoredVersion) -> None:
    """Let the first compilation of a version have other names for its tasks than this version of the plugin gives."""
    path = version.folder / "plan.json"
    path.write_text(path.read_text().replace('"task_id": "', '"task_id": "earlier_'))


def test_runs_that_are_pinned_keep_the_tasks_that_they_began_with(store: WorkflowStore) -> None:
    renamed_tasks(store.current("greet"))
    before = store.manifest()["greet"]
    recompile.recompile(store.current("greet"))
    after = store.manifest()["greet"]

    assert after.startswith(f"{before}@")
    assert store.pinned("greet", before).plan.steps[0].task_id == "earlier_greet"
    assert store.pinned("greet", after).plan.steps[0].task_id == "greet"
    assert store.current("greet").plan.steps[0].task_id == "greet"
    assert store.current("greet").digest == before, "it is the same version of the workflow"


def test_of_several_compilations_the_own_is_taken_and_else_the_newest(tmp_path: Path, store: WorkflowStore) -> None:
    version = store.current("count")
    recompile.recompile(version)
    own = store.current("count").compiled
    shutil.copytree(own, own.with_name(f"{FORMAT}-cwltool-3.9.20990101"))
    shutil.copytree(own, own.with_name(f"{FORMAT}-cwltool-3.10.20990101"))
    assert store.current("count").compiled == own
    own.rename(tmp_path / "elsewhere")
    assert store.current("count").compiled.name == f"{FORMAT}-cwltool-3.10.20990101"
    assert is_due(version)


def stored_by_older_cwltool(folder: Path) -> WorkflowStore:
    """Return a store with the workflow ``greet``, compiled by an older cwltool than this process has."""
    store = WorkflowStore(folder)
    source = OF_FORMAT_1 / "workflows/greet/versions"
    upload = store.uploads / "greet"
    shutil.copytree(next(source.iterdir()) / "source", upload / "source")
    code = (
        "from pathlib import Path; from cwl_ui_plugin.cwl.compiler.compiling import compile_document\n"
        f"compile_document(Path({str(upload / 'source')!r}), 'greet.cwl', Path({str(upload / 'compiled')!r}))"
    )
    subprocess.run([sys.executable, "-c", code], env=with_older_cwltool(), check=True)
    store.add(
        "greet",
        source=upload / "source",
        compiled=upload / "compiled",
        main="greet.cwl",
        filename="greet.cwl",
        uploaded_by="anna",
    )
    return store


def test_what_an_older_cwltool_has_compiled_runs_before_and_after_it_is_compiled_anew(
    tmp_path: Path,
) -> None:
    store = stored_by_older_cwltool(tmp_path / "store")
    before = store.current("greet")
    assert before.plan.engine == f"cwltool {older_release()}"
    assert is_due(before)
    recompile.recompile(before)
    after = store.current("greet")
    assert after.plan.engine != before.plan.engine
    assert after.revision == before.revision
    for version, folder in ((before, tmp_path / "before"), (after, tmp_path / "after")):
        assert greetings(version, folder) == ["Hello Ada", "Hello Joan"]
