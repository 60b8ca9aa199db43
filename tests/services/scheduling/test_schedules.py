"""Saving a schedule: what is refused, what Airflow and the store have then, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.errors import JobError
from cwl_ui_plugin.cwl.plan import Parameter
from cwl_ui_plugin.library.store import WorkflowStore
from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.errors import BadRequest, Conflict, InvalidJob, NotFound, NotVerified, Unavailable
from cwl_ui_plugin.services.inputs.access import InputAccess, shared_only
from cwl_ui_plugin.services.scheduling import schedules
from cwl_ui_plugin.services.scheduling.details import OTHER_VERSION, detail_of, schedule_in_words
from cwl_ui_plugin.services.scheduling.schedules import Wanted

CRON: dict[str, Any] = {"kind": "cron", "settings": {"cron": "0 6 * * *"}}


def save(dag_id: str, job: dict[str, Any] | None = None, files: InputAccess | None = None, **values: Any) -> Any:
    wanted = Wanted(**{**CRON, "job": {"text": "{{ ds }}"} if job is None else job, **values})
    return schedules.save(dag_id, wanted, user="ada", files=files or shared_only())


def dag_model(dag_id: str) -> Any:
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        return session.get(DagModel, dag_id)


def audit(dag_id: str) -> list[tuple[str, str]]:
    from airflow.models.log import Log
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        query = select(Log.event, Log.owner).where(Log.dag_id == dag_id).order_by(Log.id)
        return [(event, owner) for event, owner in session.execute(query) if event.startswith("cwl_schedule")]


def test_airflow_starts_it_from_then_on(workflow: str, store: WorkflowStore) -> None:
    saved = save(workflow, timezone="Europe/Berlin")
    assert store.schedules(workflow).current() == saved
    assert dag_model(workflow).next_dagrun is not None
    assert dag_model(workflow).timetable_summary == "0 6 * * *"
    assert audit(workflow) == [("cwl_schedule_saved", "ada")]
    detail = detail_of(store.current(workflow), saved)
    assert (detail.starts, detail.problem, len(detail.next_times)) == (True, None, 3)
    assert schedule_in_words(store, workflow, store.current(workflow).digest) == "0 6 * * *"


def test_paused_and_resumed_and_removed(workflow: str, store: WorkflowStore) -> None:
    save(workflow)
    assert schedules.pause(workflow, True, user="bob").is_paused
    assert dag_model(workflow).next_dagrun is None
    assert not dag_model(workflow).is_paused  # it can be run as usual
    resumed = schedules.pause(workflow, False, user="bob")
    assert (resumed.saved_by, dag_model(workflow).next_dagrun is None) == ("ada", False)
    schedules.remove(workflow, user="bob")
    assert dag_model(workflow).next_dagrun is None
    assert schedules.find_schedule(workflow) is None
    events = ["saved", "paused", "resumed", "removed"]
    assert audit(workflow) == [(f"cwl_schedule_{e}", "ada" if e == "saved" else "bob") for e in events]
    with pytest.raises(NotFound):
        schedules.remove(workflow, user="bob")
    with pytest.raises(NotFound):
        schedules.pause(workflow, True, user="bob")


def test_resuming_and_saving_again_start_no_run_of_a_time_that_is_past(
    workflow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is a run of a backfill already: Airflow has all times since then for due."""
    long_ago, now = "2026-01-01T00:00:00+00:00", datetime.now(timezone.utc)
    past = now - timedelta(minutes=10)
    settings = {"cron": f"{past.minute} {past.hour} * * *"}
    add_backfill_run(workflow, datetime(2026, 1, 3, past.hour, past.minute, tzinfo=timezone.utc))
    with monkeypatch.context() as patched:
        patched.setattr(schedules, "_now", lambda: long_ago)
        save(workflow, settings=settings, timezone="UTC")
        assert dag_model(workflow).next_dagrun_create_after < now
    schedules.pause(workflow, True, user="bob")
    for change in (
        lambda: schedules.pause(workflow, False, user="bob"),
        lambda: save(workflow, settings=settings, timezone="UTC"),
        lambda: save(workflow, settings={"cron": settings["cron"].replace("* * *", "* */1 *")}, timezone="UTC"),
    ):
        change()
        assert dag_model(workflow).next_dagrun_create_after > now


def add_backfill_run(dag_id: str, at: datetime) -> None:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType

    with create_session() as session:
        run = DagRun(
            dag_id=dag_id,
            run_id=f"backfill__{at.isoformat()}",
            logical_date=at,
            data_interval=(at, at),
            run_after=at,
            run_type=DagRunType.BACKFILL_JOB,
            state=DagRunState.SUCCESS,
        )
        session.add(run)


@pytest.mark.parametrize(
    ("job", "place"),
    [
        ({}, "text"),
        ({"text": 5}, "text"),
        ({"text": "{{ logical_date.year }}"}, "text"),  # a number
        ({"text": "{{ nope }}"}, "text"),
        ({"text": "{{ ds"}, "text"),
        ({"text": "x", "file": {"class": "File", "location": "missing.txt"}}, "file"),
        ({"text": "x", "file": {"class": "File", "location": "/etc/{{ ds }}"}}, "file"),
        ({"text": "x", "output_folder": "same"}, "output_folder"),
    ],
)
def test_a_job_that_does_not_fit_is_refused_with_its_place(
    workflow: str, store: WorkflowStore, job: dict[str, Any], place: str
) -> None:
    with pytest.raises(InvalidJob) as error:
        save(workflow, job)
    assert [problem.input for problem in error.value.problems] == [place]
    assert schedules.find_schedule(workflow) is None
    assert audit(workflow) == []


def test_a_file_of_a_date_need_not_be_there_before(workflow: str, folders: Path) -> None:
    (folders / "inputs").mkdir(exist_ok=True)
    assert save(workflow, {"text": "x", "file": {"class": "File", "location": "day-{{ ds }}.csv"}})
    assert save(workflow, {"text": "x", "output_folder": "days/{{ ds_nodash }}"})
    assert save(workflow, {"text": "x", "output_folder": "same"}, kind="preset", settings={"preset": "@once"})


def test_with_signed_runs_only_there_is_no_schedule(workflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    save(workflow, is_paused=True)
    monkeypatch.setenv("AIRFLOW__CWL__REQUIRE_SIGNED_CONF", "True")
    with pytest.raises(NotVerified, match="nobody signs them"):
        save(workflow)
    with pytest.raises(NotVerified):
        schedules.pause(workflow, False, user="ada")
    schedules.remove(workflow, user="ada")


def test_somebody_else_has_changed_it(workflow: str, store: WorkflowStore, monkeypatch: pytest.MonkeyPatch) -> None:
    first = save(workflow)
    real = WorkflowStore.set_schedule

    def after_another(self: WorkflowStore, dag_id: str, schedule: Any, *, instead_of: Any) -> bool:
        monkeypatch.setattr(WorkflowStore, "set_schedule", real)
        real(self, dag_id, replace(first, is_paused=True), instead_of=first.digest)
        return real(self, dag_id, schedule, instead_of=instead_of)

    monkeypatch.setattr(WorkflowStore, "set_schedule", after_another)
    with pytest.raises(Conflict, match="somebody else"):
        save(workflow, {"text": "mine"})
    found = schedules.find_schedule(workflow)
    assert found is not None
    assert found.is_paused


def test_what_airflow_does_not_take_is_taken_back(
    workflow: str, store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.dags import registration
    from cwl_ui_plugin.dags.errors import RegistrationError

    first = save(workflow)

    def refuse(_dag_id: str) -> None:
        raise RegistrationError("no room")

    monkeypatch.setattr(registration, "register", refuse)
    with pytest.raises(Unavailable, match="no room"):
        save(workflow, {"text": "other"})
    with pytest.raises(Unavailable):
        schedules.remove(workflow, user="ada")
    assert store.schedules(workflow).current() == first


NEW = (Parameter(id="words", type="string"),)


def test_a_new_version_that_does_not_fit_starts_nothing(
    workflow: str, store: WorkflowStore, add: Callable[..., StoredVersion], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store of an upload is as in ``workflows.uploads``; what it calls is called here."""
    from cwl_ui_plugin.dags.registration import register
    from cwl_ui_plugin.services.workflows import versions

    saved = save(workflow)
    before = store.current(workflow)
    after = add(workflow, "two", inputs=NEW)
    assert dag_model(workflow).next_dagrun is None  # not even before it was looked at
    assert detail_of(after, saved).problem == OTHER_VERSION
    schedules.follow_version(workflow)
    register(workflow)

    found = store.schedules(workflow).current()
    assert found is not None
    assert "words: this input is required" in found.problem
    assert (found.version, found.job, found.is_paused) == (after.digest, saved.job, False)
    assert dag_model(workflow).next_dagrun is None
    assert schedule_in_words(store, workflow, after.digest) == "0 6 * * * (does not fit)"
    assert audit(workflow)[-1] == ("cwl_schedule_problem", "ada")

    monkeypatch.setattr(schedules, "_now", lambda: "2999-01-01T00:00:00+00:00")
    versions.make_current(workflow, before.digest)
    again = store.schedules(workflow).current()
    assert again is not None
    assert again.problem == ""
    assert again.saved_at == "2999-01-01T00:00:00+00:00"  # no run of the time in which it started nothing
    assert dag_model(workflow).next_dagrun is not None


def test_a_new_version_that_fits_is_started(
    workflow: str, store: WorkflowStore, add: Callable[..., StoredVersion]
) -> None:
    from cwl_ui_plugin.dags.access.schedule_grants import granted_roots

    saved = save(workflow)
    after = add(workflow, "two")
    schedules.follow_version(workflow)
    found = store.schedules(workflow).current()
    assert found is not None
    assert found.saved_at == saved.saved_at
    assert found.starts(after.digest)
    assert granted_roots(workflow, found) == ()


@pytest.fixture
def upload(folders: Path) -> Iterator[Path]:
    """A file that ada has uploaded."""
    place = folders / "inputs/uploads/0f3a"
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("mine")
    yield place / "mine.txt"


def of_ada(folders: Path) -> InputAccess:
    return InputAccess("ada", lambda _dag_id: False)


def test_its_runs_read_what_its_author_may(
    workflow: str, folders: Path, upload: Path, store: WorkflowStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cwl_ui_plugin.dags.access.permits import permit
    from cwl_ui_plugin.services.inputs import owners

    monkeypatch.setattr(owners, "owner_of", lambda _name: "ada")
    job = {"text": "x", "file": {"class": "File", "location": str(upload)}}
    with pytest.raises(InvalidJob):
        save(workflow, job)
    saved = save(workflow, job, files=of_ada(folders))
    root = upload.parent.resolve()
    named = {"dag_id": workflow, "run_id": "scheduled__x", "schedule": saved}

    assert permit({}, **named).roots == (root,)
    assert permit({"text": None}, **named).roots == (root,)
    for conf in ({"job": {"file": {"class": "File", "location": "other"}}}, {"file": "/other"}):
        assert permit(conf, **named).roots is None  # who adds to the job has not the author's rights
    assert permit({}, dag_id=workflow, run_id="manual__x").roots is None


@pytest.mark.parametrize("change", [{"roots": ("/",)}, {"job": {"text": "y"}}, {"saved_by": "eve"}, {"grant": "a.b.c"}])
def test_nobody_forges_a_grant(workflow: str, change: dict[str, Any]) -> None:
    from cwl_ui_plugin.dags.access.permits import permit

    saved = save(workflow)
    with pytest.raises(JobError, match="grant"):
        permit({}, dag_id=workflow, run_id="scheduled__x", schedule=replace(saved, **change))
    with pytest.raises(JobError, match="another schedule or Dag"):
        permit({}, dag_id="other", run_id="scheduled__x", schedule=saved)


def test_pausing_does_not_sign_what_was_forged(workflow: str, store: WorkflowStore) -> None:
    from cwl_ui_plugin.dags.access.schedule_grants import granted_roots

    saved = save(workflow)
    forged = replace(saved, roots=("/",))
    store.set_schedule(workflow, forged, instead_of=saved.digest)
    paused = schedules.pause(workflow, True, user="bob")
    assert granted_roots(workflow, paused) == ()
    assert "does not hold" in paused.problem or "another schedule" in paused.problem


def test_a_record_that_can_t_be_read_can_be_removed_or_replaced(workflow: str, store: WorkflowStore) -> None:
    saved = save(workflow)
    file = store.workflows / workflow / "schedules" / f"{saved.digest}.json"
    file.write_text("{}")
    with pytest.raises(Conflict, match="save it anew"):
        schedules.find_schedule(workflow)
    schedules.remove(workflow, user="ada")
    assert schedules.find_schedule(workflow) is None


def test_deleting_the_workflow_deletes_its_schedule(workflow: str, store: WorkflowStore) -> None:
    from cwl_ui_plugin.services.workflows import details, versions

    save(workflow)
    details.delete_workflow(workflow)
    with pytest.raises(NotFound):
        schedules.find_schedule(workflow)
    versions.restore(workflow)
    assert schedules.find_schedule(workflow) is None
    assert dag_model(workflow).next_dagrun is None


def test_times_that_can_t_be_are_refused(workflow: str) -> None:
    for values in ({"settings": {"cron": "x"}}, {"timezone": "Mars/Base"}, {"catchup": True}):
        with pytest.raises(BadRequest):
            save(workflow, **values)
    with pytest.raises(NotFound):
        save("no-such-workflow")


def test_files_that_a_schedule_names_are_kept(workflow: str, folders: Path, store: WorkflowStore) -> None:
    from cwl_ui_plugin.services.retention.references import named_by_runs

    inputs = (folders / "inputs").resolve()
    days, other = inputs / "uploads/days", inputs / "uploads/other"
    for folder in (days, other):
        folder.mkdir(parents=True)
    (inputs / "uploads").mkdir(exist_ok=True)
    saved = save(workflow)
    named = replace(saved, job={"text": "x", "file": {"class": "File", "location": f"{days}/{{{{ ds }}}}.csv"}})
    store.set_schedule(workflow, named, instead_of=saved.digest)
    assert named_by_runs({days, other}) == {days}


def test_files_of_all_schedules_that_a_damaged_manifest_may_name_are_kept(
    workflow: str, folders: Path, store: WorkflowStore
) -> None:
    from cwl_ui_plugin.services.retention.references import named_by_runs
    from cwl_ui_plugin.services.triggering import triggers

    days = (folders / "inputs").resolve() / "uploads/days"
    days.mkdir(parents=True)
    saved = save(workflow)
    named = replace(saved, job={"text": "x", "file": {"class": "File", "location": f"{days}/a.csv"}})
    store.set_schedule(workflow, named, instead_of=saved.digest)
    triggers.trigger(workflow, conf={"job": {"text": "x"}}, run_id="of-a-schedule", user="ada", via="rest")
    schedules.remove(workflow, user="ada")
    for name, _used in list(store.manifests()):
        store.manifest_file(name).write_text("")
    assert named_by_runs({days}) == {days}


def test_airflow_s_backfill_has_the_job_of_each_day(workflow: str, store: WorkflowStore) -> None:
    """Airflow creates the runs, checks them by the Dag's Params, and pins them; the pages show the job of each."""
    from datetime import datetime, timezone

    from airflow.models.backfill import ReprocessBehavior, _create_backfill

    from cwl_ui_plugin.services.monitoring import queries

    save(workflow, kind="preset", settings={"preset": "@daily"})
    days = [datetime(2026, 1, day, tzinfo=timezone.utc) for day in (1, 2, 3)]
    _create_backfill(
        dag_id=workflow,
        from_date=days[0],
        to_date=days[-1],
        max_active_runs=3,
        reverse=False,
        dag_run_conf=None,
        triggering_user_name="bob",
        reprocess_behavior=ReprocessBehavior.NONE,
    )
    runs = queries.list_runs([workflow]).items
    assert {(run.run_type, run.started_by) for run in runs} == {("backfill", "backfill of bob")}
    jobs = sorted(queries.get_run(workflow, run.run_id).job["text"] for run in runs)
    assert jobs == ["2026-01-01", "2026-01-02", "2026-01-03"]

    schedules.remove(workflow, user="ada")  # runs keep the schedule that they were started by
    assert sorted(queries.get_run(workflow, run.run_id).job["text"] for run in runs) == jobs
