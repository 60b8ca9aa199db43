"""Running a crate: what it has is checked before anything of it is kept, and the job is what the run was given."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support.crates import ACTION, READS, WORKFLOW, crate, metadata, zipped
from support.failed_run import Failed, document
from support.stored import as_file

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.intake import Limits, UploadedFile
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.services.crates import importing, jobs, reading
from cwl_ui_plugin.services.crates.crates import crate_of
from cwl_ui_plugin.services.crates.importing import Imported
from cwl_ui_plugin.services.errors import BadRequest, Conflict, InvalidWorkflow, ServiceError, TooLarge
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.outputs.zip_stream import zip_stream
from cwl_ui_plugin.services.triggering import triggers
from cwl_ui_plugin.services.workflow_models import UploadRights
from cwl_ui_plugin.services.workflows import uploads

ANYTHING = UploadRights(may_see=lambda _dag_id: True, may_change=lambda _dag_id: True)


def begin(stream: io.BytesIO, **more: Any) -> importing.Begun:
    file = UploadedFile("x.crate.zip", stream)
    return importing.begin(file, user="bob", rights=ANYTHING, access=shared_only(), **more)


def imported(stream: io.BytesIO, **more: Any) -> Imported:
    begun = begin(stream, **more)
    with suppress(ServiceError):
        uploads.wait_upload(begun.upload.id)
    return importing.finish(begun, "bob")


def kept(store: WorkflowStore) -> list[Path]:
    """What is there of uploaded inputs and of uploads on their way."""
    places = (config.uploads_folder(), store.uploads)
    found = [path for place in places if place.exists() for path in place.rglob("*")]
    return [path for path in found if path.is_file() and path.name[0] != "."]


def test_a_crate_of_ours_comes_back_as_the_same_run(failed: Failed) -> None:
    text = {"type": "string", "default": "x"}
    extra = {
        "also": text,
        "count": "int?",
        "sure": "boolean?",
        "words": "string[]?",
        "bam": {"type": "File?", "secondaryFiles": [".bai"]},
    }
    version = failed.add(document('cat "$1"', **extra))
    for name in ("a.bam", "a.bam.bai"):
        (failed.folders / "inputs" / name).write_text(name)
    bam = as_file(failed.folders / "inputs/a.bam", secondaryFiles=[as_file(failed.folders / "inputs/a.bam.bai")])
    job = failed.begin(also="1", count=3, sure=True, words=["a", "b"], bam=bam)
    made = crate_of(failed.dag_id, failed.run_id, access=shared_only(), with_data=True)
    sent = io.BytesIO(b"".join(zip_stream(made.entries)))
    assert importing.is_crate(sent)
    again = imported(sent, dag_id=f"{failed.dag_id}-again")
    assert (again.version, again.left_out) == (version.digest, ())
    assert {name: again.job[name] for name in ("also", "count", "sure", "words")} == {
        name: job[name] for name in ("also", "count", "sure", "words")
    }
    reads, found = (Path(again.job[name]["location"].removeprefix("file://")) for name in ("reads", "bam"))
    assert (reads.read_text(), reads.name) == ("b\na\n", "reads.txt")
    assert [path.name for path in sorted(found.parent.iterdir())] == ["a.bam", "a.bam.bai"]
    assert again.job["bam"]["secondaryFiles"][0]["basename"] == "a.bam.bai"
    access = InputAccess("bob", lambda _dag_id: False)
    run = triggers.trigger(again.dag_id, conf={"job": again.job}, user="bob", via=triggers.REST, files=access)
    assert run.state == "queued"
    assert again.form.startswith(f"/pluginsv2/cwl/workflows/{again.dag_id}/run?job=")


HOSTILE: dict[str, tuple[dict[str, bytes | None], type[ServiceError], str]] = {
    "no metadata": ({"described": None}, BadRequest, "no RO-Crate"),
    "no JSON": ({"described": b"{"}, BadRequest, "can't be read"),
    "deep JSON": ({"described": b"[" * 200_000}, BadRequest, "can't be read"),
    "half of a pair": (
        {"described": metadata(ACTION, {**READS, "alternateName": "\ud800"})},
        BadRequest,
        "can't be read",
    ),
    "no graph": ({"described": b'{"@graph": {}}'}, BadRequest, "no @graph"),
    "no ids": ({"described": b'{"@graph": [{"x": 1}]}'}, BadRequest, "no @graph"),
    "a thing twice": ({"described": metadata(ACTION, ACTION, READS)}, BadRequest, "twice"),
    "no workflow": ({"described": metadata(**{"@type": "File"})}, InvalidWorkflow, "no workflow"),
    "no CWL": ({"described": metadata(programmingLanguage={"@id": "#galaxy"})}, InvalidWorkflow, "not in CWL"),
    "no document": ({"main": None}, InvalidWorkflow, "not in the crate"),
    "no file": ({"reads": None}, InvalidWorkflow, "not in the crate"),
    "another file": ({"reads": b"TTTT"}, InvalidWorkflow, "its sha1 is another one"),
    "outside": (
        {"described": metadata({**ACTION, "object": {"@id": "in/../../x"}}, {**READS, "@id": "in/../../x"})},
        BadRequest,
        "outside",
    ),
    "absolute": (
        {"described": metadata({**ACTION, "object": {"@id": "/etc/passwd"}}, {**READS, "@id": "/etc/passwd"})},
        BadRequest,
        "outside",
    ),
    "outside zip": ({"../x": b"x"}, BadRequest, "leads out"),
    "absolute zip": ({"/x": b"x"}, BadRequest, "leads out"),
    "two of a name": ({"./main.cwl": b"x"}, BadRequest, "two files"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_of_what_is_no_good_crate_nothing_is_kept(case: str, store: WorkflowStore) -> None:
    changes, error, words = HOSTILE[case]
    with pytest.raises(error, match=words):
        begin(crate(**changes))
    assert kept(store) == []


def test_a_crate_that_runcrate_has_made_is_read() -> None:
    workflow = {
        **WORKFLOW,
        "@id": "packed.cwl",
        "input": [{"@id": "packed.cwl#main/reads"}, {"@id": "packed.cwl#main/n"}],
    }
    digest = hashlib.sha1(b"ACGT").hexdigest()
    number = {
        "@id": "#pv-main/n",
        "@type": "PropertyValue",
        "exampleOfWork": {"@id": "packed.cwl#main/n"},
        "value": "2",
    }
    file = {"@id": digest, "@type": "File", "alternateName": "reads.txt", "sha1": digest}
    used = {**file, "exampleOfWork": [{"@id": "packed.cwl#tool.cwl/file"}, {"@id": "packed.cwl#main/reads"}]}
    done = {**ACTION, "instrument": {"@id": "packed.cwl"}, "object": [{"@id": "#pv-main/n"}, {"@id": digest}]}
    described = reading.CrateMetadata({item["@id"]: item for item in (workflow, number, used, done)})
    with zipfile.ZipFile(zipped({digest: b"ACGT"})) as archive:
        given = jobs.given_in(described, workflow, reading.CrateFiles(archive, Limits(10**6, 10**6, 9)))
    assert given == {"n": ["2"], "reads": [jobs.GivenFile("File", "reads.txt", digest)]}
    assert importing._Import._proposed(workflow, "packed.cwl", "revsort.crate.zip") == "revsort"
    assert importing._Import._proposed({**workflow, "alternateName": "my-dag"}, "packed.cwl", "x.zip") == "my-dag"
    assert importing._Import._proposed(workflow, "sort.cwl", "x.zip") == "sort"


def test_a_link_in_the_zip_is_refused(store: WorkflowStore) -> None:
    made = crate()
    with zipfile.ZipFile(made, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    made.seek(0)
    with pytest.raises(BadRequest, match="link"):
        begin(made)


def test_bombs_are_refused(store: WorkflowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UNPACKED_SIZE", "1000000")
    with pytest.raises(TooLarge, match="unpacks to more"):
        begin(crate(described=metadata(ACTION, {**READS, "sha1": None}), reads=bytes(2_000_000)))
    monkeypatch.setattr(importing, "MAX_ENTRIES", 50)
    with pytest.raises(TooLarge, match="files"):
        begin(crate(**{f"file{number}": b"" for number in range(100)}))
    monkeypatch.setattr(reading, "MAX_METADATA", 100)
    with pytest.raises(TooLarge, match="larger"):
        begin(crate())
    assert kept(store) == []


def test_one_file_is_not_kept_again_and_again(store: WorkflowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entities differ by what is behind the ``#``, so that each makes a file of its own."""
    many = [{**READS, "@id": f"in/reads.txt#{number}", "alternateName": f"{number}.txt"} for number in range(20)]
    action = {**ACTION, "object": [{"@id": one["@id"]} for one in many]}
    made = crate(described=metadata(action, *({**one, "sha1": None} for one in many)), reads=bytes(100_000))
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UNPACKED_SIZE", "1000000")
    with pytest.raises(TooLarge, match="given 20 files"):
        begin(made)
    assert kept(store) == []


def test_a_thing_that_names_others_is_not_looked_at_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_LOOKUPS", 100)
    parts = [{"@id": "in/reads.txt"}] * 30
    group = {"@id": "#g", "@type": "Collection", "mainEntity": {"@id": "main.cwl"}, "hasPart": parts}
    group["exampleOfWork"] = {"@id": "main.cwl#reads"}
    action = {**ACTION, "object": [{"@id": "#g"}] * 5}
    described = reading.CrateMetadata({item["@id"]: item for item in (WORKFLOW, action, group, READS)})
    with zipfile.ZipFile(crate()) as archive:
        files = reading.CrateFiles(archive, Limits(10**6, 10**6, 9))
        with pytest.raises(TooLarge, match="more than 100 times"):
            jobs.given_in(described, WORKFLOW, files)
        action["object"] = {"@id": "#g"}
        assert len(jobs.given_in(described, WORKFLOW, files)["reads"][0].secondary) == 30


def test_the_files_of_a_folder_are_those_below_it() -> None:
    names = ["a-b", "a/x", "a/y/z", "a0", "aa/x"]
    with zipfile.ZipFile(zipped(dict.fromkeys(names, b""))) as archive:
        assert reading.CrateFiles(archive, Limits(9, 9, 9)).below("a") == ["a/x", "a/y/z"]


def test_things_that_name_one_another_in_a_circle_end(store: WorkflowStore) -> None:
    one = {"@id": "#a", "@type": "Collection", "mainEntity": {"@id": "#b"}, "hasPart": [{"@id": "#a"}, {"@id": "#b"}]}
    other = {**one, "@id": "#b", "mainEntity": {"@id": "#a"}, "exampleOfWork": {"@id": "main.cwl#reads"}}
    files: Any = []
    described = reading.CrateMetadata(
        {item["@id"]: item for item in (WORKFLOW, {**ACTION, "object": [{"@id": "#b"}]}, one, other)}
    )
    assert jobs.given_in(described, WORKFLOW, files) == {"reads": [None]}


def test_a_workflow_that_is_refused_takes_the_files_of_its_job_back(store: WorkflowStore) -> None:
    with pytest.raises(InvalidWorkflow):
        imported(crate(main=b'{"cwlVersion": "v1.2", "class": "Nothing"}'))
    assert [path for path in kept(store) if path.name == "reads.txt"] == []


def test_files_elsewhere_are_taken_where_the_user_may_use_them(folders: Path, store: WorkflowStore) -> None:
    (folders / "inputs").mkdir(exist_ok=True)
    shared, secret = folders / "inputs/shared.txt", folders / "secret.txt"
    for path in (shared, secret):
        path.write_text("x")
    addresses = (shared.as_uri(), secret.as_uri(), "http://[x")
    things = [{**READS, "@id": address, "sha1": None} for address in addresses]
    action = {**ACTION, "object": [{"@id": thing["@id"]} for thing in things]}
    described = reading.CrateMetadata({item["@id"]: item for item in (WORKFLOW, action, *things)})
    given = jobs.given_in(described, WORKFLOW, [])  # type: ignore[arg-type]
    places = importing._Import([], described, "bob", shared_only())._elsewhere(given)  # type: ignore[arg-type]
    assert list(places.values()) == [shared.as_uri()]


@pytest.mark.parametrize(
    ("kind", "values", "wanted"),
    [
        ("string", ["3"], "3"),
        ("int", ["3"], 3),
        ("double", ["0.5"], 0.5),
        ("boolean", ["True"], True),
        (["null", "boolean"], ["false"], False),
        ({"type": "array", "items": "int"}, ["[1, 2]"], [1, 2]),
        ({"type": "array", "items": "int"}, ["1", "2"], [1, 2]),
        ({"type": "array", "items": "string"}, ["a"], ["a"]),
        ("Any", ["[1]"], "[1]"),
    ],
)
def test_values_are_read_as_the_type_of_their_input_says(kind: Any, values: list[str], wanted: object) -> None:
    from support.stored import plan_of

    plan = plan_of("one", inputs=(Parameter("x", kind),))
    assert jobs.job_for(plan, {"x": values, "other": ["y"]}, {}) == ({"x": wanted}, ["other"])


LISTS = {"type": "array", "items": {"type": "array", "items": "Any"}}


@pytest.mark.parametrize(("kind", "value"), [("double", "NaN"), (LISTS, "[" * 500 + "]" * 500), ("string", "a\0")])
def test_what_no_job_can_have_is_left_out(kind: Any, value: str) -> None:
    from support.stored import plan_of

    plan = plan_of("one", inputs=(Parameter("x", kind),))
    assert jobs.job_for(plan, {"x": [value]}, {}) == ({}, ["x"])


def test_a_job_that_can_not_be_kept_leads_to_the_empty_form(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object, **_more: object) -> None:
        raise Conflict("You have 200 presets.")

    monkeypatch.setattr(importing.presets, "save_preset", full)
    assert importing._form("d", {"text": "x" * 100_000}, "bob") == "/pluginsv2/cwl/workflows/d/run?"
