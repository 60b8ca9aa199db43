"""What a crate brings along and tells: of this run alone, and only what whoever asks may see."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.stored import as_file

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import Parameter, Step
from cwl_ui_plugin.cwl.task_names import scatter_task
from cwl_ui_plugin.dags.remote_inputs import _key
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.crates import actions, crates, facts, files
from cwl_ui_plugin.services.crates import logs as crate_logs
from cwl_ui_plugin.services.crates.crates import crate_of
from cwl_ui_plugin.services.crates.graph import CrateGraph
from cwl_ui_plugin.services.crates.workflow import DescribedStep
from cwl_ui_plugin.services.errors import NotFound, Unavailable
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.outputs.zip_stream import zip_stream
from cwl_ui_plugin.services.run_models import StepState
from cwl_ui_plugin.services.triggering import triggers


def unpacked(crate: crates.Crate) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(b"".join(zip_stream(crate.entries)))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def entities(crate: crates.Crate) -> dict[str, dict[str, Any]]:
    return {entity["@id"]: entity for entity in crate.metadata["@graph"]}


def in_crate(crate: crates.Crate) -> set[str]:
    return {name for name in unpacked(crate) if name.startswith(("inputs/", "outputs/"))}


@pytest.fixture
def outputs(workflow: str, run_id: str, folders: Path, airflow: Any) -> Path:
    folder = folders / "outputs" / workflow / run_id
    (folder / "plots").mkdir(parents=True)
    (folder / "a b.txt").write_text("abc")
    (folder / "plots/p.svg").write_text("<svg/>")
    (folder / "no-output.txt").write_text("secret")
    (folders / "outside.txt").write_text("secret")
    (folder / "link.txt").symlink_to(folders / "outside.txt")
    value = {
        "lines": as_file(folder / "a b.txt", checksum="sha1$1", size=3),
        "plots": {"class": "Directory", "location": (folder / "plots").as_uri(), "basename": "plots"},
        "link": as_file(folder / "link.txt"),
        "outside": as_file(folders / "outside.txt"),
        "web": {"class": "File", "location": "http://example.org/x", "basename": "x"},
        "count": 3,
    }
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", value)
    return folder


def test_it_brings_what_is_an_output_and_nothing_else(workflow: str, run_id: str, outputs: Path) -> None:
    crate = crate_of(workflow, run_id, access=shared_only(), with_data=True)
    assert in_crate(crate) == {"outputs/a b.txt", "outputs/plots/p.svg"}
    assert b"secret" not in b"".join(unpacked(crate).values())
    found = entities(crate)
    assert found["outputs/a%20b.txt"]["contentSize"] == "3"
    assert {item["@id"] for item in found["./"]["hasPart"]} >= {"outputs/a%20b.txt", "outputs/plots/", "packed.cwl"}


def test_without_data_it_names_files_and_brings_none(
    workflow: str, run_id: str, outputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/a/")
    crate = crate_of(workflow, run_id, access=shared_only(), with_data=False)
    assert in_crate(crate) == set()
    address = f"https://airflow.example/a/cwl/api/v1/workflows/{workflow}/runs/{run_id}/files/a%20b.txt"
    assert address in entities(crate)


def trigger(dag_id: str, files: InputAccess, **job: Any) -> str:
    name = f"run-{uuid.uuid4()}"
    triggers.trigger(dag_id, conf={"job": job}, run_id=name, user="ada", via=triggers.REST, files=files)
    return name


def test_inputs_come_along_for_those_who_may_read_them(workflow: str, folders: Path) -> None:
    (folders / "inputs/shared").mkdir(parents=True)
    shared = folders / "inputs/shared/in.txt"
    shared.write_text("everybody's")
    own = folders / "outputs/others/run/out.txt"
    own.parent.mkdir(parents=True)
    own.write_text("somebody's")
    reader = InputAccess("ada", lambda dag_id: dag_id == "others")
    of_all = trigger(workflow, reader, text="x", file=as_file(shared))
    of_one = trigger(workflow, reader, text="x", file=as_file(own))
    assert in_crate(crate_of(workflow, of_all, access=shared_only(), with_data=True)) == {"inputs/1/in.txt"}
    assert in_crate(crate_of(workflow, of_one, access=reader, with_data=True)) == {"inputs/1/out.txt"}
    assert in_crate(crate_of(workflow, of_one, access=shared_only(), with_data=True)) == set()
    shared.unlink()
    shared.symlink_to(own)
    assert in_crate(crate_of(workflow, of_all, access=shared_only(), with_data=True)) == set()


@pytest.mark.parametrize("is_fetched", [False, True])
def test_a_file_of_the_network_is_named_by_its_address_without_the_key_in_it(
    workflow: str, airflow: Any, monkeypatch: pytest.MonkeyPatch, is_fetched: bool
) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__FETCH_HOSTS", "data.example.org")
    remote = {"class": "File", "location": "HTTPS://data.example.org/in.txt?key=a-secret"}
    run_id = trigger(workflow, shared_only(), text="x", file=remote)
    if is_fetched:
        place = config.fetched_folder() / _key("https://data.example.org/in.txt?key=a-secret", {})
        here = {"class": "File", "location": (place / "in.txt").as_uri(), "basename": "in.txt", "size": 4}
        airflow.push(workflow, run_id, "CWLJobDispatcher", "return_value", {"#file": [here, "success"]})
    crate = crate_of(workflow, run_id, access=shared_only(), with_data=True)
    everything = b"".join(unpacked(crate).values())
    assert b"a-secret" not in everything
    assert b".fetched" not in everything
    found = {name.lower(): entity for name, entity in entities(crate).items()}["https://data.example.org/in.txt"]
    assert (found["name"], found["@type"]) == ("in.txt", "File")


def test_logs_come_along_by_choice_and_are_bounded(
    workflow: str, run_id: str, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import datetime, timezone

    from cwl_ui_plugin.dags.folders import run_folder

    airflow.set_task(workflow, run_id, "sort", state="success", start_date=datetime.now(timezone.utc), try_number=1)
    folder = run_folder.kept_logs(workflow, run_id) / "sort/-1/1"
    folder.mkdir(parents=True)
    (folder / "stdout.log").write_bytes(b"0123456789")
    (folder / "stderr.log").write_bytes(b"Error: x")
    (folder.parents[2] / "elsewhere").write_text("a secret")

    def logs(**options: Any) -> dict[str, bytes]:
        crate = crate_of(workflow, run_id, access=shared_only(), with_data=False, **options)
        return {name: content for name, content in unpacked(crate).items() if name.startswith("logs/")}

    assert logs() == {}
    crate = crate_of(workflow, run_id, access=shared_only(), with_data=False, with_logs=True)
    (folder / "stdout.log").write_bytes(b"0123456789 and more, meanwhile")
    assert unpacked(crate)["logs/sort.stdout.txt"] == b"0123456789"
    told = entities(crate)["logs/sort.stderr.txt"]
    assert (told["contentSize"], told["about"]["@id"]) == ("8", "#task-sort")
    (folder / "stdout.log").write_bytes(b"0123456789")
    monkeypatch.setattr(crate_logs, "MAX_LOG", 4)
    assert logs(with_logs=True) == {"logs/sort.stdout.txt": b"6789", "logs/sort.stderr.txt": b"r: x"}
    monkeypatch.setattr(crate_logs, "MAX_LOGS", 6)
    assert set(logs(with_logs=True)) == {"logs/sort.stdout.txt"}
    cut = crate_of(workflow, run_id, access=shared_only(), with_data=False, with_logs=True)
    assert "more than there is room for" in entities(cut)["./"]["description"]
    (folder / "stdout.log").unlink()
    (folder / "stdout.log").symlink_to(folder.parents[2] / "elsewhere")
    assert b"a secret" not in b"".join(logs(with_logs=True).values())


def test_a_text_of_the_job_comes_along_under_a_plain_name(workflow: str, run_id: str, airflow: Any) -> None:
    literal = {"class": "File", "basename": "../../x", "contents": "hello", "location": "_:1"}
    airflow.push(workflow, run_id, "CWLJobDispatcher", "return_value", {"#file": [literal, "success"]})
    crate = crate_of(workflow, run_id, access=shared_only(), with_data=False)
    assert in_crate(crate) == {"inputs/1/.._.._x"}
    assert unpacked(crate)["inputs/1/.._.._x"] == b"hello"


def test_a_secret_is_in_no_crate(add: Any, airflow: Any) -> None:
    dag_id = f"secret-{uuid.uuid4().hex[:8]}"
    add(dag_id, inputs=(Parameter("word", "string", is_secret=True), Parameter("text", "string")))
    run_id = trigger(dag_id, shared_only(), word="sesame", text="open")
    values = {"#word": ["sesame", "success"], "#text": ["open", "success"]}
    airflow.push(dag_id, run_id, "CWLJobDispatcher", "return_value", values)
    crate = crate_of(dag_id, run_id, access=shared_only(), with_data=True)
    everything = b"".join(unpacked(crate).values())
    assert b"sesame" not in everything
    assert b'"open"' in everything


def test_a_run_with_very_many_tasks_is_told_as_a_whole(
    workflow: str, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts, "MAX_EXECUTIONS", 1)
    crate = crate_of(workflow, run_id, access=shared_only(), with_data=True)
    assert "is left out" in entities(crate)["./"]["description"]
    assert sum(entity["@type"] == "CreateAction" for entity in entities(crate).values()) == 1


def test_a_run_that_is_not_there_has_none(workflow: str) -> None:
    with pytest.raises(NotFound):
        crate_of(workflow, "no-run", access=shared_only(), with_data=True)


def test_a_version_whose_documents_are_gone_says_so(workflow: str, run_id: str, store: WorkflowStore) -> None:
    (store.current(workflow).compiled / "packed.cwl").unlink()
    with pytest.raises(Unavailable, match="Upload the workflow again"):
        crate_of(workflow, run_id, access=shared_only(), with_data=True)


def test_what_is_written_is_the_metadata(workflow: str, run_id: str) -> None:
    crate = crate_of(workflow, run_id, access=shared_only(), with_data=False)
    found = unpacked(crate)
    assert json.loads(found["ro-crate-metadata.json"]) == crate.metadata
    assert found["workflow/main.cwl"] == b"one"
    assert b"Count lines" in found["README.md"]


def test_long_values_that_begin_alike_are_told_apart(workflow: str, run_id: str, airflow: Any) -> None:
    texts = ["x" * 100 + end for end in ("one", "two")]
    airflow.push(workflow, run_id, "CWLJobDispatcher", "return_value", {"#text": [texts[0], "success"]})
    first = entities(crate_of(workflow, run_id, access=shared_only(), with_data=False))
    airflow.push(workflow, run_id, "CWLJobDispatcher", "return_value", {"#text": [texts[1], "success"]})
    second = entities(crate_of(workflow, run_id, access=shared_only(), with_data=False))
    ids = [{name for name in found if name.startswith("#value-")} for found in (first, second)]
    assert all(ids)
    assert not ids[0] & ids[1]


def test_files_beyond_a_bound_are_not_described(
    workflow: str, run_id: str, folders: Path, airflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 3)
    value = {"many": [as_file(folders / f"{number}.txt", checksum=f"sha1${number}") for number in range(5)]}
    airflow.push(workflow, run_id, "CWLJobGatherer", "return_value", value)
    found = entities(crate_of(workflow, run_id, access=shared_only(), with_data=True))
    assert sum(entity.get("name", "").removesuffix(".txt").isdigit() for entity in found.values()) == 3
    assert "not all described" in found["./"]["description"]


def test_names_are_text_to_readers_of_the_readme(workflow: str) -> None:
    run_id, hostile = f"run-{uuid.uuid4()}", "<b>x</b> ![y](https://example.org/`z`)"
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id=run_id, user=hostile, via=triggers.REST)
    text = unpacked(crate_of(workflow, run_id, access=shared_only(), with_data=False))["README.md"].decode()
    assert r"by \<b\>x\</b\> !\[y\](https://example.org/\`z\`)," in text


@pytest.mark.parametrize("text", ["a\n\n# b", "a`b", "``", "<script>"])
def test_a_name_never_leaves_its_line_or_its_code(text: str) -> None:
    code = crates._code(text)
    assert (code.count("`"), code.splitlines()) == (2, [code])
    assert len(crates._plain(text).splitlines()) == 1


def test_a_text_that_is_no_unicode_is_told_with_another_character(workflow: str, run_id: str, airflow: Any) -> None:
    airflow.push(workflow, run_id, "CWLJobDispatcher", "return_value", {"#text": ["a\ud800b", "success"]})
    crate = crate_of(workflow, run_id, access=shared_only(), with_data=False)
    assert b'"a?b"' in unpacked(crate)["ro-crate-metadata.json"]


MOMENT = "2026-01-01T00:00:00+00:00"
PARAMETERS = {name: {"@id": f"#{name}"} for name in ("genome", "reads", "pair")}


def actions_of(graph: CrateGraph, values: dict[str, Any], batches: list[tuple[int, int]], **step: Any) -> list[Any]:
    """Return the actions of the instances of a scattered step."""
    plan = Step("map", "#map", "map", "d", "CommandLineTool", "map", **step)
    ports = tuple({"id": f"#map/{name}", "source": f"#{name}"} for name in PARAMETERS)
    states = [
        StepState("map", "map", index, "success", "success", "map", 1, MOMENT, MOMENT, 1.0)
        for index in range(len(batches))
    ]
    place: Any = SimpleNamespace(path=Path("/nowhere"))
    told: Any = SimpleNamespace(
        values=values,
        executions={"map": tuple(facts.Execution(state) for state in states)},
        batches={scatter_task("map"): batches},
        place=place,
        run=SimpleNamespace(job={}),
    )
    for reference in (*PARAMETERS.values(), {"@id": "#step"}, {"@id": "#tool"}, {"@id": "#orchestration"}):
        graph.add(reference["@id"], "Thing")
    described = DescribedStep(plan, {"@id": "#step"}, {"@id": "#tool"}, PARAMETERS, {}, ports)
    found = actions.Actions(
        graph, told, files.CrateFiles(told, shared_only(), False, ""), SimpleNamespace(steps=[described])
    )
    done = found._describe_step(described, {"@id": "#orchestration"})
    made = {entity["@id"]: entity for entity in graph.as_json()["@graph"]}
    return [made[reference["@id"]] for reference in done]


def digests(count: int, begin: str) -> list[dict[str, Any]]:
    return [{"class": "File", "basename": f"{begin}{n}", "checksum": f"sha1${begin}{n}"} for n in range(count)]


def ids(value: Any) -> list[str]:
    return [item["@id"] for item in (value if isinstance(value, list) else [value])]


def test_an_instance_of_a_scattered_step_has_read_the_elements_of_its_batch() -> None:
    values = {"#genome": digests(1, "g")[0], "#reads": digests(5, "r"), "#pair": digests(5, "p")}
    first, second = actions_of(
        CrateGraph(), values, [(0, 1), (2, 4)], scatter=("#map/reads", "#map/pair"), by_element=("#reads",)
    )
    assert ids(first["object"]) == ["urn:sha1:g0", "urn:sha1:r0", "urn:sha1:r1"]
    assert ids(second["object"]) == ["urn:sha1:g0", "urn:sha1:r2", "urn:sha1:r3", "urn:sha1:r4"]


def test_a_crate_grows_by_its_tasks_and_by_its_files_but_not_by_both() -> None:
    tasks = 300
    values = {"#genome": digests(1000, "g"), "#reads": digests(tasks, "r")}
    graph = CrateGraph()
    done = actions_of(graph, values, [(n, n) for n in range(tasks)], scatter=("#map/reads",), by_element=("#reads",))
    assert len(done) == tasks
    assert {len(ids(action["object"])) for action in done} == {2}
    text = json.dumps(graph.as_json())
    assert text.count('urn:sha1:g7"') <= 4
    collections = [entity for entity in graph.as_json()["@graph"] if entity["@type"] == "Collection"]
    assert [len(entity["hasPart"]) for entity in collections] == [1000]
