"""The schedule of a workflow: shown, saved with its job, paused, removed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flask import redirect, request, url_for
from flask_appbuilder import expose
from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from werkzeug.exceptions import Forbidden
from werkzeug.wrappers import Response as BaseResponse
from wtforms import (
    BooleanField,
    HiddenField,
    IntegerField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import Length, Optional

from cwl_ui_plugin import config
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.auth.bridge import DENIED, current_user, requires
from cwl_ui_plugin.cwl.errors import CwlError
from cwl_ui_plugin.cwl.jobs.file_sets import SETTLE_SECONDS
from cwl_ui_plugin.cwl.plan import Plan
from cwl_ui_plugin.dags.job_templates import literal
from cwl_ui_plugin.dags.scheduling import default_timezone
from cwl_ui_plugin.library.schedules import Schedule
from cwl_ui_plugin.services.errors import BadRequest, Conflict, NotFound, ServiceError
from cwl_ui_plugin.services.monitoring import queries
from cwl_ui_plugin.services.scheduling import schedules
from cwl_ui_plugin.services.scheduling.details import detail_of
from cwl_ui_plugin.services.scheduling.kinds import PRESETS, assets_to_wait_for, checked_settings
from cwl_ui_plugin.services.scheduling.schedules import Wanted
from cwl_ui_plugin.services.scheduling.timing import timezones, timing_of
from cwl_ui_plugin.services.watching import states
from cwl_ui_plugin.services.watching.preview import preview
from cwl_ui_plugin.services.workflow_models import WorkflowDetail
from cwl_ui_plugin.services.workflows import details
from cwl_ui_plugin.views.base import CwlView, answer_json, user_name
from cwl_ui_plugin.views.forms import ActionForm
from cwl_ui_plugin.views.job_form import request_parsing
from cwl_ui_plugin.views.job_form.draft import FORM, TEXT, Draft
from cwl_ui_plugin.views.job_form.posted import posted_draft
from cwl_ui_plugin.views.schedule_given import Given, given_rows, posted_given
from cwl_ui_plugin.views.trigger import PARTS_ABOVE

if TYPE_CHECKING:
    from flask.typing import ResponseReturnValue


CRON, PRESET, ASSETS, FOLDER = "cron", "preset", "assets", "folder"
ANY, ALL = "any", "all"


class ScheduleForm(FlaskForm):
    """When a workflow starts, and how its job is written."""

    kind = RadioField(
        "Start",
        choices=[
            (CRON, "By a cron expression"),
            (PRESET, "Regularly"),
            (ASSETS, "After assets"),
            (FOLDER, "Watch a folder"),
        ],
    )
    cron = StringField(
        "Cron expression",
        validators=[Length(max=200)],
        description="Minute, hour, day of the month, month, day of the week: 0 6 * * 1-5 is 6:00, Monday to Friday.",
    )
    preset = SelectField(
        "How often", choices=[(name, f"{name}: {text}") for name, text in PRESETS.items()], validate_choice=False
    )
    assets = SelectMultipleField(
        "Assets",
        validate_choice=False,
        description="Those that Airflow knows. What is given to inputs below counts without being chosen here.",
    )
    of_assets = RadioField("Start after an event of", choices=[(ANY, "any of them"), (ALL, "all of them")], default=ANY)
    folder = StringField(
        "Folder",
        validators=[Length(max=4000)],
        description="An absolute path on the server, in a folder that inputs may come from.",
    )
    marker = StringField(
        "Marker file",
        validators=[Length(max=1000)],
        description="Optional: a pattern of a file that is put there last, such as {sample}.done.",
    )
    settle = IntegerField(
        "Settle time",
        validators=[Optional()],
        default=SETTLE_SECONDS,
        description="For how many seconds no file of a set may have changed.",
    )
    timezone = StringField(
        "Time zone", validators=[Length(max=100)], description="Such as Europe/Berlin; empty: Airflow's."
    )
    start_date = StringField(
        "Start date", validators=[Length(max=40)], description="From when on to catch up, such as 2026-01-31."
    )
    catchup = BooleanField("Catch up: also start a run for each time since the start date that has none")
    max_active_runs = IntegerField("Runs at a time", validators=[Optional()], description="Empty: Airflow's default.")
    is_paused = BooleanField("Save it paused: it starts nothing until you resume it")
    source = RadioField("Job", choices=[(FORM, "Form"), (TEXT, "YAML or JSON")], validate_choice=False, default=FORM)
    job = TextAreaField("Job", description="The inputs, as YAML or JSON; put templates in quotes.")
    job_file = FileField("Import a job file")
    digest = HiddenField()
    shown = HiddenField()
    """The digest of the schedule that this form is to replace."""

    def wanted(self, job: dict[str, object], given: Given) -> Wanted:
        """Return the schedule that was filled in; ``given`` says what its start gives to inputs."""
        settings: dict[str, dict[str, object]] = {
            CRON: {"cron": self.cron.data or ""},
            PRESET: {"preset": self.preset.data},
            ASSETS: {
                "assets": self.assets.data or [],
                "all": self.of_assets.data == ALL,
                "inputs": given.get("inputs", {}),
            },
            FOLDER: {
                "folder": (self.folder.data or "").strip(),
                "files": given.get("files", {}),
                "names": given.get("names", {}),
                "marker": (self.marker.data or "").strip(),
                "settle": self.settle.data,
            },
        }
        is_timed = self.kind.data in (CRON, PRESET)
        return Wanted(
            kind=self.kind.data,
            settings=settings.get(self.kind.data, {}),
            job=job,
            timezone=(self.timezone.data or "").strip(),
            start_date=(self.start_date.data or "").strip() if is_timed else None,
            catchup=bool(self.catchup.data) and is_timed,
            is_paused=bool(self.is_paused.data),
            max_active_runs=self.max_active_runs.data,
        )

    def offer_assets(self, names: list[str] | None) -> None:
        """Let these be chosen (None: assets may not be seen), and what is chosen already, not to be lost unseen."""
        shown = None if names is None else dict.fromkeys([*names, *(self.assets.data or [])])
        self.assets.choices = [(name, name) for name in shown or ()]

    def show(self, schedule: Schedule) -> None:
        """Fill in a schedule."""
        settings = schedule.settings
        self.kind.data = schedule.kind
        self.cron.data = settings.get("cron", "")
        self.preset.data = settings.get("preset", "@daily")
        self.assets.data = [asset["name"] for asset in settings.get("assets", ())]
        self.folder.data = settings.get("folder", "")
        self.marker.data = settings.get("marker") or ""
        self.settle.data = settings.get("settle", SETTLE_SECONDS)
        self.of_assets.data = ALL if settings.get("all") else ANY
        self.timezone.data = schedule.timezone or ""
        self.start_date.data = schedule.start_date or ""
        self.catchup.data = schedule.catchup
        self.max_active_runs.data = schedule.max_active_runs
        self.is_paused.data = schedule.is_paused


class ScheduleView(CwlView):
    """Schedules of workflows."""

    default_view = "form"

    @expose("/workflows/<dag_id>/schedule", methods=["GET", "POST"])
    @requires(permissions.may_read, "dag_id")
    def form(self, dag_id: str) -> ResponseReturnValue:
        """Show the schedule, and to those who may change it a form for it; save that."""
        workflow = details.get_workflow(dag_id)
        if request.method == "POST":
            return self._save(workflow)
        form = ScheduleForm(formdata=None)
        found, problem = _found(dag_id)
        if found is not None:
            form.show(found)
        elif form.kind.data is None:
            form.kind.data, form.preset.data = PRESET, "@daily"
        try:
            job = _first_job(dag_id, workflow.plan, found)
        except ServiceError as error:
            job, problem = {}, error
        return self._show(workflow, form, Draft.of_job(workflow.plan, job), problem=problem)

    @expose("/workflows/<dag_id>/schedule/pause", methods=["POST"])
    @requires(permissions.may_read, "dag_id")
    def pause(self, dag_id: str) -> BaseResponse:
        """Stop or go on starting runs."""
        _require_may_schedule(dag_id)
        schedules.pause(dag_id, request.form.get("paused") == "yes", user=user_name())
        return redirect(url_for("ScheduleView.form", dag_id=dag_id))

    @expose("/workflows/<dag_id>/schedule/remove", methods=["POST"])
    @requires(permissions.may_read, "dag_id")
    def remove(self, dag_id: str) -> BaseResponse:
        """Let the workflow have no schedule any more."""
        _require_may_schedule(dag_id)
        schedules.remove(dag_id, user=user_name())
        return redirect(url_for("ScheduleView.form", dag_id=dag_id))

    @expose("/workflows/<dag_id>/schedule/preview", methods=["POST"])
    @requires(permissions.may_read, "dag_id")
    def preview(self, dag_id: str) -> object:
        """Answer when what is filled in would start runs."""
        _require_may_schedule(dag_id)
        version = details.get_workflow(dag_id).version
        form = ScheduleForm()
        _require_may_see_assets(form)
        wanted = replace(form.wanted({}, posted_given(version.plan)), catchup=False, max_active_runs=None)
        timing = timing_of(schedules.draft(version, wanted, user_name()))
        return answer_json({"text": timing.text, "times": timing.next_times})

    @expose("/workflows/<dag_id>/schedule/folder", methods=["POST"])
    @requires(permissions.may_read, "dag_id")
    def folder(self, dag_id: str) -> ResponseReturnValue:
        """Show which sets of files are found now by what is filled in."""
        _require_may_schedule(dag_id)
        plan = details.get_workflow(dag_id).plan
        wanted, files = ScheduleForm().wanted({}, posted_given(plan)), permissions.input_access(current_user())
        found, problem = None, None
        try:
            found = preview(checked_settings(FOLDER, wanted.settings), plan, files)
        except ServiceError as error:
            problem = error
        shown = {"folder": found, "problem": problem, "dag_id": dag_id}
        return answer_json({"html": self.render_template("cwl_ui_plugin/watched_folder.html", **shown)})

    def _save(self, workflow: WorkflowDetail) -> ResponseReturnValue:
        dag_id, form = workflow.summary.dag_id, ScheduleForm()
        _require_may_schedule(dag_id)
        _require_may_see_assets(form)
        draft = Draft.of_job(workflow.plan, {})
        try:
            draft = posted_draft(workflow.plan)
            if not form.validate_on_submit():
                return self._show(workflow, form, draft, status=400)
            files = permissions.input_access(current_user())
            wanted = form.wanted(draft.job(), posted_given(workflow.plan))
            schedules.save(dag_id, wanted, user=user_name(), files=files, instead_of=form.shown.data)
        except BadRequest as error:
            if error.field in form._fields:
                form._fields[error.field].errors = [error.message]
            return self._show(workflow, form, draft, status=error.status, problem=error)
        except CwlError as error:
            return self._show(workflow, form, draft, status=422, problem=error)
        except ServiceError as error:
            return self._show(workflow, form, draft, status=error.status, problem=error)
        return redirect(url_for("ScheduleView.form", dag_id=dag_id, saved=1))

    def _show(
        self,
        workflow: WorkflowDetail,
        form: ScheduleForm,
        draft: Draft,
        status: int = 200,
        problem: CwlError | ServiceError | None = None,
    ) -> ResponseReturnValue:
        dag_id, user = workflow.summary.dag_id, current_user()
        shown = schedules.current_digest(dag_id)
        found, unreadable = _found(dag_id)
        form.digest.data, form.source.data, form.job.data = workflow.version.digest, draft.source, draft.text
        if form.shown.data is None or isinstance(problem, Conflict):  # to save it again is to replace what is shown now
            form.shown.data = shown
        may_see_assets, may_schedule = permissions.may_read_assets(user), permissions.may_schedule(user, dag_id)
        form.offer_assets(assets_to_wait_for(dag_id) if may_see_assets else None)
        draft.form.show(problem.problems if problem else ())
        return self.page(
            "schedule.html",
            status,
            workflow=workflow,
            plan=workflow.plan,
            user=user,
            action=ActionForm(),
            schedule=detail_of(workflow.version, found) if found else None,
            has_record=found is not None or unreadable is not None,
            may_schedule=may_schedule,
            only_signed=schedules.ONLY_SIGNED if config.flag("require_signed_conf") else None,
            form=form,
            job_form=draft.form,
            problem=problem,
            given=given_rows(workflow.plan, found),
            folder=states.kept(dag_id) if found and found.kind == FOLDER and may_schedule else None,
            zones=timezones(),
            default_zone=default_timezone(),
            parts_above=PARTS_ABOVE,
        )


def _found(dag_id: str) -> tuple[Schedule | None, ServiceError | None]:
    """Return the schedule of a workflow, or why it can't be read."""
    try:
        return schedules.find_schedule(dag_id), None
    except ServiceError as error:
        return None, error


def _first_job(dag_id: str, plan: Plan, found: Schedule | None) -> dict[str, object]:
    """Return the job to start from: that of an earlier run as it was, that of the schedule, or an empty one."""
    secrets = [item.id for item in plan.inputs if item.is_secret]
    if earlier := request.args.get("from_run"):
        try:
            kept = request_parsing.kept(queries.get_run(dag_id, earlier).job, secrets)
            return {name: literal(value) for name, value in kept.items()}
        except NotFound:
            pass
    return request_parsing.kept(dict(found.job), secrets) if found else {}


def _require_may_schedule(dag_id: str) -> None:
    if not permissions.may_schedule(current_user(), dag_id):
        raise Forbidden(DENIED)


def _require_may_see_assets(form: ScheduleForm) -> None:
    if form.kind.data == ASSETS and not permissions.may_read_assets(current_user()):
        raise Forbidden(DENIED)
