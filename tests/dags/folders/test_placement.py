"""Where a run may write: its job's folders, and that no other run has them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.errors import FolderTaken, JobError
from cwl_ui_plugin.dags.folders import claims, run_folder
from cwl_ui_plugin.dags.folders.claims import Claim
from cwl_ui_plugin.dags.folders.placement import Held, check_writable, folders_of, hold
from cwl_ui_plugin.services import health

CREATED = datetime(2026, 1, 1, tzinfo=timezone.utc)
LATER = CREATED + timedelta(minutes=5)


@pytest.fixture
def site(airflow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with all folders of the plugin, and one more for results."""
    for name in ("workflows", "inputs", "outputs", "tmp", "reuse"):
        monkeypatch.setenv(f"AIRFLOW__CWL__{name.upper()}_FOLDER", str(tmp_path / name))
    monkeypatch.setenv("AIRFLOW__CWL__OUTPUT_ROOTS", str(tmp_path / "results"))
    (tmp_path / "results").mkdir()
    yield tmp_path


def outputs(job: dict[str, Any], dag_id: str = "wf", run_id: str = "r") -> Path:
    return folders_of(dag_id, run_id, job).outputs.path


def held(run_id: str, folder: Any = None, dag_id: str = "wf", created: datetime = CREATED, **job: Any) -> Held:
    return hold(dag_id, run_id, created, {**({"output_folder": str(folder)} if folder else {}), **job})


def deliver_into(found: Held) -> None:
    found.folders.outputs.path.mkdir(parents=True)
    (found.folders.outputs.path / "out.txt").write_text("theirs")


def test_folders_of_a_run(site: Path) -> None:
    assert outputs({}) == site / "outputs/wf/r"
    assert outputs({"output_folder": "a/./b/"}) == site / "outputs/wf/a/b"
    assert outputs({"outputs_folder": "a"}) == site / "outputs/wf/a"
    assert outputs({"output_folder": f"{site}/results/a"}) == site / "results/a"
    assert outputs({"output_folder": f"{site}/results"}) == site / "results"
    assert folders_of("wf", "r", {}).tmp is None
    relative = folders_of("wf", "r", {"tmp_folder": "a"}).tmp
    absolute = folders_of("wf", "r", {"tmp_folder": f"{site}/results/t"}).tmp
    assert relative is not None
    assert absolute is not None
    assert relative.path.is_relative_to(site / "tmp/wf")
    assert absolute.path == site / "results/t/wf/r"


@pytest.mark.parametrize("name", ["output_folder", "outputs_folder", "tmp_folder"])
@pytest.mark.parametrize(
    "folder",
    [
        "..",
        "../other/r",
        "a/..",
        "a/../../../tmp",
        ".",
        "./",
        "/",
        "/etc",
        "{site}",
        "{site}/tmp/wf",
        "{site}/tmp/.control",
        "{site}/tmp/.control/deliveries",
        "{site}/workflows/x",
        "{site}/inputs/x",
        "{site}/reuse",
        "{site}/outputs/wf/x",
        "{site}/results-of-others",
        "{site}/results/../outputs",
        "link/x",
        "{site}/results/link/x",
        "a\0b",
        "a" * 2000,
        "a" * 256,
        "é" * 200,
        "a/\ud800",
        7,
        ["a"],
        {"class": "Directory"},
    ],
)
def test_a_job_names_no_other_folder(site: Path, name: str, folder: Any) -> None:
    for place in (site / "results", site / "outputs/wf", site / "tmp/wf/.placed/tmp"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "link").symlink_to(site / "inputs")
    given = folder.format(site=site) if isinstance(folder, str) else folder
    with pytest.raises(JobError, match=r"folder|outputs\.|run_id") as refused:
        folders_of("wf", "r", {name: given})
    assert name in refused.value.message


def test_a_folder_that_can_not_be_made_is_told_before_anything_runs(site: Path) -> None:
    check_writable(folders_of("wf", "r", {}).outputs)
    (site / "outputs/wf").mkdir(parents=True)
    (site / "outputs/wf/file").write_text("x")
    for name in ("file", "file/in"):
        with pytest.raises(JobError, match="outputs/wf/file is not a folder"):
            check_writable(folders_of("wf", "r", {"output_folder": name}).outputs)


@pytest.mark.parametrize("run_id", ["..", ".", "", ".hidden", "a/b", "a\0"])
def test_a_run_whose_name_is_no_name_of_a_folder_fails(site: Path, run_id: str) -> None:
    """Airflow's own API takes such names."""
    with pytest.raises(JobError, match="name of a run"):
        folders_of("wf", run_id, {})


@pytest.mark.parametrize("option", ["workflows_folder", "tmp_folder", "reuse_folder", "inputs_folder", "input_roots"])
@pytest.mark.parametrize("where", ["results", "results/in", "."])
def test_a_root_that_overlaps_other_folders_is_of_no_use(
    site: Path, monkeypatch: pytest.MonkeyPatch, option: str, where: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW__CWL__{option.upper()}", str(site / where))
    problems = config.root_problems()
    assert list(problems) == [site / "results"]
    assert f"[cwl] {option}" in problems[site / "results"] or where == "."
    assert problems[site / "results"] in health.problems()
    for name in ("output_folder", "tmp_folder"):
        with pytest.raises(JobError, match="overlap"):
            folders_of("wf", "r", {name: f"{site}/results/mine"})
    assert outputs({}) == site / "outputs/wf/r"


def test_no_problem_where_nothing_overlaps(site: Path) -> None:
    assert config.root_problems() == {}


@pytest.mark.parametrize(
    ("output_folder", "tmp_folder"),
    [
        ("{site}/results/a", "{site}/results/a"),
        ("{site}/results", "{site}/results/t"),
        ("{site}/results/t/wf/r/x", "{site}/results/t"),
    ],
)
def test_outputs_and_intermediate_files_are_apart(site: Path, output_folder: str, tmp_folder: str) -> None:
    job = {"output_folder": output_folder.format(site=site), "tmp_folder": tmp_folder.format(site=site)}
    with pytest.raises(JobError, match="one in the other"):
        folders_of("wf", "r", job)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a", "a"),
        ("a", "a/b"),
        ("a/b/c", "a"),
        (None, "one"),
        ("two", None),
        (None, "one/b"),
        ("two/b", None),
        ("{site}/results/a", "{site}/results/a/"),
        ("{site}/results/a/b", "{site}/results"),
        ("{site}/results", "{site}/results/a/b"),
        ("a", "to-a/b"),
        ("{site}/results/a", "{site}/results/to-a"),
    ],
)
def test_no_two_runs_share_a_folder(site: Path, first: str | None, second: str | None) -> None:
    for place in (site / "results", site / "outputs/wf"):
        (place / "a").mkdir(parents=True)
        (place / "to-a").symlink_to(place / "a")
    one, two = (folder and folder.format(site=site) for folder in (first, second))
    assert held("one", one).new
    with pytest.raises(FolderTaken, match="run 'one'"):
        held("two", two)
    assert not held("one", one).new  # a retry
    with pytest.raises(FolderTaken):
        held("two", two)


def test_runs_of_other_workflows_are_not_named(site: Path) -> None:
    held("secret", site / "results/a")
    with pytest.raises(FolderTaken, match="a run of another workflow") as refused:
        held("mine", site / "results/a", dag_id="other")
    assert "secret" not in refused.value.message


def test_folders_side_by_side_are_for_everybody(site: Path) -> None:
    for number, folder in enumerate(["a", "ab", "b/c", "b/d", "A", site / "results/a", site / "results/b", None]):
        assert held(f"run-{number}", folder).new
    assert held("run-0", None, dag_id="other").new


def test_where_a_disk_ignores_case_other_spellings_are_the_same_folder(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_is_one", lambda _one, _other: True)
    held("one", site / "results/Mine")
    with pytest.raises(FolderTaken):
        held("two", site / "results/mine/x")


def test_a_refused_claim_leaves_nothing(site: Path) -> None:
    held("one", "a/b")
    with pytest.raises(FolderTaken):
        held("two", "a")
    assert [claim.run_id for claim in claims.claims()] == ["one"]
    held("three", None, tmp_folder=f"{site}/results/t")
    with pytest.raises(FolderTaken):  # the first of its two folders could be had
        held("two", "c", tmp_folder=f"{site}/results/t/wf/three/x")
    assert {claim.run_id for claim in claims.claims()} == {"one", "three"}


def test_intermediate_files_are_in_nobodys_outputs(site: Path) -> None:
    held("one", site / "results/a")
    with pytest.raises(FolderTaken):
        held("two", None, tmp_folder=f"{site}/results/a")
    held("three", None, tmp_folder=f"{site}/results/t")
    with pytest.raises(FolderTaken):
        held("four", site / "results/t/wf")
    held("five", None, tmp_folder="x")
    with pytest.raises(FolderTaken):
        held("six", None, tmp_folder="x/five/step")


def test_a_run_that_was_deleted_keeps_its_files(site: Path) -> None:
    deliver_into(held("r", "a"))
    with pytest.raises(FolderTaken, match="deleted"):
        held("r", "a", created=LATER)
    with pytest.raises(FolderTaken):
        held("other", "a", created=LATER)


def test_a_run_that_was_deleted_before_it_delivered_leaves_its_name_free(site: Path) -> None:
    before = held("r")
    claims.record_of(before.folders.outputs.path).write_text('{"names": ["out.txt"]}')
    again = held("r", created=LATER)
    assert again.new
    assert not claims.record_of(again.folders.outputs.path).exists()


def test_claims_are_given_back_if_there_will_be_no_run(site: Path) -> None:
    held("one", "a").give_back()
    assert held("two", "a/b").new


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"dag_id": 1}', '{"dag_id": "wf", "run_id": "r", "folder": []}', "[" * 100_000]
)
def test_a_claim_that_can_not_be_read_is_somebody_elses(site: Path, content: str) -> None:
    held("one", "a")
    path = next((site / "tmp/.control/deliveries").glob("*.json"))
    path.write_text(content)
    for folder in ("a", "a/b"):
        with pytest.raises(FolderTaken, match="can't be read"):
            held("one", folder)


@pytest.mark.parametrize(("first", "second"), [("a", "a"), ("a", "a/b"), ("a/b", "a")])
def test_of_two_runs_that_claim_at_once_one_gets_it_at_most(
    site: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    """Both have written that they claim before either looks for others."""
    both = threading.Barrier(2)
    look = claims._check_above

    def wait(claim: Claim, above: list[str], place: Path) -> None:
        both.wait(30)
        look(claim, above, place)

    monkeypatch.setattr(claims, "_check_above", wait)
    got: list[str] = []

    def run(run_id: str, folder: str) -> None:
        try:
            got.append(held(run_id, folder).folders.outputs.path.name)
        except FolderTaken:
            both.abort()
        except threading.BrokenBarrierError:
            return  # the other was refused before it looked

    threads = [threading.Thread(target=run, args=args) for args in (("one", first), ("two", second))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) <= 1


def test_a_thousand_claims_cost_a_new_one_nothing(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        held(f"run-{number}")
    reads: list[str] = []
    read = claims._read
    monkeypatch.setattr(claims, "_read", lambda key, place: (reads.append(key), read(key, place))[1])
    held("new")
    assert len(reads) < 30
    with pytest.raises(JobError):
        held("all", ".")


def test_the_control_folder_is_looked_at_once_for_a_claim(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, looked = config.control_folder(), []
    monkeypatch.setattr(config, "control_folder", lambda: looked.append(1) or found)
    held("r", f"{site}/results/a/b/c/d")
    assert len(looked) == 1


def test_a_chosen_tmp_folder_is_used_and_removed(site: Path) -> None:
    found = held("r", None, tmp_folder=f"{site}/results/t").folders
    run_folder.place_run_tmp("wf", "r", found.tmp)
    run_folder.place_run_tmp("wf", "r", found.tmp)
    place = run_folder.run_tmp("wf", "r")
    (place / "task").mkdir()
    assert (site / "results/t/wf/r/task").is_dir()
    run_folder.remove_run_tmp("wf", "r")
    assert not (site / "results/t/wf/r").exists()
    assert not place.is_symlink()
    assert held("other", site / "results/t").new


def test_a_link_that_was_put_on_the_way_leads_nowhere(site: Path) -> None:
    (site / "precious/r").mkdir(parents=True)
    (site / "precious/r/file").write_text("x")
    found = held("r", None, tmp_folder=f"{site}/results/t").folders
    (site / "results/t").mkdir()
    (site / "results/t/wf").symlink_to(site / "precious")
    with pytest.raises(OSError):
        run_folder.place_run_tmp("wf", "r", found.tmp)
    (site / "results/t/wf").unlink()
    run_folder.place_run_tmp("wf", "r", found.tmp)
    (site / "results/t/wf/r").rmdir()
    (site / "results/t/wf").rmdir()
    (site / "results/t/wf").symlink_to(site / "precious")
    run_folder.remove_run_tmp("wf", "r")
    assert (site / "precious/r/file").exists()
    assert not run_folder.run_tmp("wf", "r").is_symlink()
