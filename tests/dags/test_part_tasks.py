"""Tasks of CWL in a Dag that somebody wrote, one by one: what they may read, where they write, when they give up."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from cwl_ui_plugin.cwl.errors import JobError, StepError
from cwl_ui_plugin.cwl.plan import read_plan
from cwl_ui_plugin.dags import names
from cwl_ui_plugin.dags.folders import placement, run_folder
from cwl_ui_plugin.dags.operators.whole import CwlToolOperator
from cwl_ui_plugin.dags.parts import BEGUN_KEY, Part
from cwl_ui_plugin.dags.stopping import tombstones
from cwl_ui_plugin.dags.stopping.tombstones import Tombstone
from cwl_ui_plugin.dags.task_group import CWLTaskGroup

NOW = datetime.now(timezone.utc)
TOOL = """
cwlVersion: v1.2
class: CommandLineTool
baseCommand: [sh, -c, 'cat "$1" && echo "$1" >&2', sh]
requirements: {ResourceRequirement: {coresMin: 2}}
inputs: {text: {type: File, inputBinding: {position: 1}}}
outputs: {copied: stdout}
stdout: copied.txt
"""
WORKFLOW = """
cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, SubworkflowFeatureRequirement: {}}
inputs: {texts: "File[]", go: {type: boolean, default: true}}
outputs:
  copies: {type: "File[]", outputSource: each/copied}
  again: {type: ["null", File], outputSource: sub/again}
steps:
  each: {run: tool.cwl, scatter: text, in: {text: texts}, out: [copied]}
  sub:
    when: $(inputs.go)
    run:
      class: Workflow
      inputs: {files: "File[]"}
      outputs: {again: {type: File, outputSource: first/copied}}
      steps:
        first:
          run: tool.cwl
          in: {files: files, text: {source: files, valueFrom: "$(self[0])"}}
          out: [copied]
      requirements: {StepInputExpressionRequirement: {}}
    in: {files: each/copied, go: go}
    out: [again]
"""


class Instance(SimpleNamespace):
    """A task instance, as an operator sees it; ``begun`` is what the first task of its group has said."""

    begun: str | None = None

    def xcom_pull(self, *, key: str = "return_value", **_options: Any) -> Any:
        return self.begun if key == BEGUN_KEY else {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The documents, with a store beside them in which each is compiled once."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "tool.cwl").write_text(TOOL)
    (folder / "bad.cwl").write_text(TOOL.replace('cat "$1" &&', "exit 7;"))
    (folder / "main.cwl").write_text(WORKFLOW)
    return folder


@pytest.fixture
def site(airflow_home: Path, tmp_path: Path, documents: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of a site of this test."""
    for name in ("inputs", "outputs", "tmp"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{name.upper()}_FOLDER", str(tmp_path / name))
        (tmp_path / name).mkdir()
    monkeypatch.setenv("AIRFLOW__CWL__WORKFLOWS_FOLDER", str(documents / "store"))
    monkeypatch.setenv("AIRFLOW__CWL__CONTAINER_ENGINE", "none")
    (tmp_path / "inputs/shared.txt").write_text("shared")
    (tmp_path / "private").mkdir()
    (tmp_path / "private/secret.txt").write_text("secret")
    return tmp_path


@pytest.fixture
def context() -> Any:
    """The context of a task of a run whose conf has things of its own."""
    ti = Instance(id="1", dag_id="d", run_id="r", task_id="t", map_index=-1, try_number=1, pushed={})
    conf = {"job": "of somebody else"}
    return {"ti": ti, "dag_run": SimpleNamespace(dag_id="d", run_id="r", run_after=NOW, clear_number=0, conf=conf)}


def operator(tool: Path, job: Any, **more: Any) -> CwlToolOperator:
    with DAG("d", schedule=None):
        return CwlToolOperator(**{"task_id": "t", "tool": tool, "job": job, **more})


def execute(task: CwlToolOperator, context: Any) -> dict[str, Any]:
    task.pre_execute(context)
    return task.execute(context)


def test_a_tool_delivers_into_the_folder_of_its_run_and_task(site: Path, documents: Path, context: Any) -> None:
    outputs = execute(operator(documents / "tool.cwl", {"text": "shared.txt"}), context)
    assert outputs["copied"]["path"] == str(site / "outputs/d/r/t/copied.txt")
    assert Path(outputs["copied"]["path"]).read_text() == "shared"
    assert run_folder.leases("d", "r") == []


def test_more_than_airflow_can_take_is_told(
    site: Path, documents: Path, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_HANDED_ON_SIZE", "100")
    told = r"hands on 0.0 MB that name 1 files, .* max_handed_on_size allows: .* Hand on a Directory"
    with pytest.raises(AirflowFailException, match=told):
        execute(operator(documents / "tool.cwl", {"text": "shared.txt"}), context)
    assert context["ti"].pushed[names.ERROR_KEY]["kind"] == "permanentFail"
    assert run_folder.leases("d", "r") == []
    assert [path for path in (site / "outputs").rglob("*") if path.is_file()] == [], "before anything is delivered"


def test_the_last_task_of_a_group_tells_so_before_it_delivers(
    site: Path, documents: Path, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.dags.operators import CwlGroupGatherOperator

    document = operator(documents / "tool.cwl", {"text": "shared.txt"}).document
    made = run_folder.run_tmp("d", "r") / "copied.txt"
    made.parent.mkdir(parents=True)
    made.write_text("shared")
    value = {"class": "File", "location": made.as_uri(), "basename": made.name}
    context["ti"].xcom_pull = lambda **_options: {"copied": [value, "success"]}
    last = CwlGroupGatherOperator(task_id="e", document=document, sources=["p"], part=Part("g"))
    with monkeypatch.context() as patch:
        patch.setenv("AIRFLOW__CWL__MAX_HANDED_ON_SIZE", "100")
        with pytest.raises(AirflowFailException, match="max_handed_on_size"):
            last.execute(context)
    assert [path for path in (site / "outputs").rglob("*") if path.is_file()] == []
    outputs: Any = last.execute(context)
    assert Path(outputs["copied"]["path"]).read_text() == "shared"


def test_a_mapped_one_into_a_folder_for_each_instance(site: Path, documents: Path, context: Any) -> None:
    context["ti"].map_index = 4
    outputs = execute(operator(documents / "tool.cwl", {"text": "shared.txt"}), context)
    assert Path(outputs["copied"]["path"]).parent.name == "t.4"


def test_a_workflow_runs_as_a_whole_and_gives_what_its_tasks_would(site: Path, documents: Path, context: Any) -> None:
    job: dict[str, Any] = {"texts": ["shared.txt", "shared.txt"]}
    outputs = execute(operator(documents / "main.cwl", job), context)
    assert [Path(item["path"]).read_text() for item in (*outputs["copies"], outputs["again"])] == ["shared"] * 3


@pytest.mark.parametrize("job", [{"texts": ["shared.txt"], "go": False}, {"texts": [], "go": False}])
def test_what_is_skipped_in_it_is_null(site: Path, documents: Path, context: Any, job: dict[str, Any]) -> None:
    outputs = execute(operator(documents / "main.cwl", job), context)
    assert outputs["again"] is None
    assert len(outputs["copies"]) == len(job["texts"])


def test_pool_slots_are_what_the_tool_asks_for_unless_they_are_given(site: Path, documents: Path) -> None:
    assert operator(documents / "tool.cwl", {"text": "a"}).pool_slots == 2
    assert operator(documents / "tool.cwl", {"text": "a"}, pool_slots=1).pool_slots == 1


def test_other_files_are_for_the_author_to_allow(site: Path, documents: Path, context: Any) -> None:
    secret = str(site / "private/secret.txt")
    with pytest.raises(AirflowFailException, match=r"text: .*secret.txt.*input_roots=\[\.\.\.\]"):
        execute(operator(documents / "tool.cwl", {"text": secret}), context)
    allowed = operator(documents / "tool.cwl", {"text": secret}, input_roots=[site / "private"])
    assert Path(execute(allowed, context)["copied"]["path"]).read_text() == "secret"


def test_outputs_of_the_same_run_may_be_used_and_no_others(site: Path, documents: Path, context: Any) -> None:
    first = execute(operator(documents / "tool.cwl", {"text": "shared.txt"}), context)
    context["ti"].task_id = "u"
    second = operator(documents / "tool.cwl", {"text": first["copied"]}, task_id="u")
    assert Path(execute(second, context)["copied"]["path"]).read_text() == "shared"
    context["dag_run"].run_id = context["ti"].run_id = "another"
    with pytest.raises(AirflowFailException, match="nor an output of this run"):
        execute(operator(documents / "tool.cwl", {"text": first["copied"]}), context)


def test_a_later_run_of_the_same_name_does_not_get_them(site: Path, documents: Path, context: Any) -> None:
    execute(operator(documents / "tool.cwl", {"text": "shared.txt"}), context)
    assert placement.delivered_by("d", "r", NOW) == (site / "outputs/d/r/t",)
    later = NOW.replace(year=NOW.year + 1)
    assert placement.delivered_by("d", "r", later) == ()


@pytest.mark.parametrize(
    ("job", "words"),
    [
        ({"text": NOW}, "text: a value of Python's type datetime is none of CWL"),
        ({"text": {"class": "File", "contents": b"x"}}, "text: a value of Python's type bytes is none of CWL"),
        ({"text": 3}, "text: .*File"),
        ({"text": "missing.txt"}, "text: .*missing.txt"),
        ({"tmp_folder": "x", "text": "shared.txt"}, "tmp_folder: the outputs of a part of a Dag"),
        ("no job", "must map inputs to values; it is of type str"),
    ],
)
def test_values_of_other_tasks_are_refused_by_the_name_of_their_input(
    site: Path, documents: Path, context: Any, job: Any, words: str
) -> None:
    task = operator(documents / "tool.cwl", {"text": "{{ later }}"})
    task.job = job
    with pytest.raises(AirflowFailException, match=words):
        execute(task, context)
    assert context["ti"].pushed[names.ERROR_KEY]["kind"] == "permanentFail"
    assert not (site / "outputs/d/r/t").exists()


def test_only_signed_runs_where_only_these_are_allowed(
    site: Path, documents: Path, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    with pytest.raises(AirflowFailException, match="Only signed runs are allowed"):
        execute(operator(documents / "tool.cwl", {"text": "shared.txt"}), context)


def test_a_grant_in_the_conf_is_none_of_its_business(site: Path) -> None:
    run = SimpleNamespace(dag_id="d", run_id="r", run_after=NOW, conf={"cwl_grant": "forged"})
    assert Part("t").permit(run).roots == ()


def test_one_of_a_stopped_run_does_nothing(site: Path, documents: Path, context: Any) -> None:
    tombstones.write(Tombstone("d", "r", "ada", 0.0, 0, tombstones.moment(NOW), 1))
    with pytest.raises(AirflowFailException, match=r"^Stopped by ada\.$"):
        execute(operator(documents / "tool.cwl", {"text": "shared.txt"}), context)
    assert run_folder.leases("d", "r") == []


def test_a_command_that_fails_fails_the_task_in_words(site: Path, documents: Path, context: Any) -> None:
    with pytest.raises(AirflowException, match="7"):
        execute(operator(documents / "bad.cwl", {"text": "shared.txt"}), context)
    assert context["ti"].pushed[names.ERROR_KEY]["exit_code"] == 7


def test_a_group_that_was_skipped_hands_on_nothing_and_skips_its_end(context: Any) -> None:
    from cwl_ui_plugin.dags.operators import CwlGroupGatherOperator, CwlScatterOperator, Document

    part = Part("g", version="1", begin="g.CWLJobDispatcher")
    document = Document(Path(), Path())
    scatter = CwlScatterOperator(task_id="s", document=document, part=part)
    assert scatter.pulled(context) == {names.SKIPPED: [True, "skipped"]}
    with pytest.raises(AirflowSkipException):
        CwlGroupGatherOperator(task_id="e", document=document, part=part).pulled(context)


def last_of_scatter(folder: Path, **changes: str) -> Any:
    """Write the workflow into a folder, with changes, and return a task of a group of it."""
    (folder / "tool.cwl").write_text(TOOL)
    text = WORKFLOW
    for old, new in changes.items():
        text = text.replace(old, new)
    (folder / "main.cwl").write_text(text)
    with DAG("d", schedule=None) as dag:
        CWLTaskGroup("g", workflow=folder / "main.cwl", job={"texts": []})
    return dag.get_task("g.each.gather")


def test_a_group_goes_on_with_the_document_that_it_has_begun_with(site: Path, context: Any) -> None:
    begun, later = last_of_scatter(site), last_of_scatter(site, true="false")
    assert begun.document != later.document
    context["ti"].begun = begun.part.version
    later.pre_execute(context)
    assert (later.document.compiled, later.step) == (begun.document.compiled, begun.step)


def test_one_whose_document_has_other_tasks_now_says_so(site: Path, context: Any) -> None:
    begun, later = last_of_scatter(site), last_of_scatter(site, first="second")
    context["ti"].begun = begun.part.version
    with pytest.raises(AirflowFailException, match=r"The document of the group 'g' was changed.*Clear 'g\.CWLJobDispa"):
        later.pre_execute(context)
    for gone in ("0" * 32, "../..", ""):
        with pytest.raises(StepError, match="was changed"):
            later.part.earlier(gone, read_plan(later.document.compiled))


def test_names_that_are_no_folders_are_refused(site: Path) -> None:
    with pytest.raises(JobError, match="can't be the name of a run"):
        placement.hold_part("d", "../r", NOW, "g")


@pytest.mark.parametrize("part", ["..", "a/b", ".hidden"])
def test_a_part_is_one_folder_whatever_it_is_called(site: Path, part: str) -> None:
    path = placement.hold_part("d", "r", NOW, part).folders.outputs.path
    assert path.parent == site / "outputs/d/r"


def test_a_decorated_function_makes_the_job(site: Path, documents: Path, context: Any) -> None:
    from cwl_ui_plugin.decorators import cwl_task

    with DAG("d", schedule=None) as dag:

        @cwl_task(tool=documents / "tool.cwl")
        def t(name: str) -> dict[str, Any]:
            return {"text": f"{name}.txt"}

        made = t("shared")
    task: Any = dag.get_task("t")
    outputs = execute(task, context)
    assert Path(outputs["copied"]["path"]).read_text() == "shared"
    assert made["copied"].key == "copied"
