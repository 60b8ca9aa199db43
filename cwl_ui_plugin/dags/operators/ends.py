"""The first and the last task of a workflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.plan import read_plan
from cwl_ui_plugin.dags import handing_on, names, part_jobs
from cwl_ui_plugin.dags.operators.base import CwlOperator
from cwl_ui_plugin.dags.parts import BEGUN_KEY

if TYPE_CHECKING:
    from airflow.sdk import Asset, Context
    from typing_extensions import Self

    from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination
    from cwl_ui_plugin.cwl.engine.run_settings import Values
    from cwl_ui_plugin.cwl.plan import CwlObject, Plan
    from cwl_ui_plugin.dags.folders.placement import Held
    from cwl_ui_plugin.dags.folders.run_folder import TaskTry


class _EndOperator(CwlOperator):
    """What the two have in common: assets (see ``dags.assets``)."""

    ui_color = "#e8f0fa"
    declared: tuple[Asset, ...] = ()
    """What there may be events of."""

    def prepare_for_execution(self) -> Self:
        """Return the task that is executed, without assets: the last task puts those there that it has delivered.

        Airflow fails a task that has an asset which is not active. That of an earlier version is not, if the newest of
        the workflow has no such input or output any more; a run keeps the version that it started with.
        """
        other = super().prepare_for_execution()
        other.declared, other.inlets, other.outlets = tuple(self.outlets), [], []
        return other


class CwlDispatchOperator(_EndOperator):
    """The first task: check the job, and hand on the workflow's inputs."""

    is_first = True

    def execute(self, context: Context) -> dict[str, object]:
        """Return the values of the workflow's inputs."""
        from cwl_ui_plugin.cwl.engine import execution
        from cwl_ui_plugin.cwl.jobs.checks import check_job
        from cwl_ui_plugin.dags import remote_inputs
        from cwl_ui_plugin.dags.folders import placement, run_folder

        with self.reported(context), self.leased(context) as task:
            given = {**self.given_job(context), **self._delivered(context)}
            run, held = context["dag_run"], hold(self, context, given).folders
            placement.check_writable(held.outputs, self._check_stopped)
            run_folder.place_run_tmp(run.dag_id, run.run_id, held.tmp)
            rules, allowed = self.permit(context).file_rules(), config.flag("allow_job_requirements")
            plan = read_plan(self.document.compiled)
            job = check_job(plan, given, rules, allow_requirements=allowed)
            job = remote_inputs.brought(job, self._check_stopped, plan.inputs, rules.storage)
            task.folder.mkdir(parents=True, exist_ok=True)
            values = execution.start(
                self.document.compiled, self.document.source, job, task.folder, self.run_settings(task)
            )
            self.noted.inputs = values
            return self.handing_on(context, self._staging.put(values))

    def _delivered(self, context: Context) -> CwlObject:
        """Return what the runs of other workflows give to inputs of this one, if their outputs have started it."""
        from cwl_ui_plugin.dags.chaining import delivered_inputs
        from cwl_ui_plugin.dags.scheduling import schedule_of

        schedule = schedule_of(context["dag_run"], self.document.schedule)
        if schedule is None or not schedule.settings.get("inputs"):
            return {}
        events = {asset.name: list(found) for asset, found in context["triggering_asset_events"].items()}
        plan, ti = read_plan(self.document.compiled), context["ti"]

        def outputs(dag_id: str, run_id: str) -> CwlObject | None:
            found = ti.xcom_pull(dag_id=dag_id, run_id=run_id, task_ids=names.GATHERER)
            values: CwlObject = handing_on.in_memory(self.handed_on(context, found, (dag_id, run_id)))
            return values if isinstance(found, dict) else None

        return delivered_inputs(schedule.settings["inputs"], plan, events, outputs)


class CwlGatherOperator(_EndOperator):
    """The last task: deliver the outputs of the workflow, and tell Airflow of those that are assets."""

    def execute(self, context: Context) -> dict[str, object]:
        """Return the CWL output object, with absolute locations."""
        from cwl_ui_plugin.cwl.engine import execution
        from cwl_ui_plugin.dags.access.file_access import check_values

        with self.reported(context), self.leased(context) as task:
            plan = read_plan(self.document.compiled)
            values = self._to_deliver(plan, self.pulled(context))
            check_values(values, self._confines(task).allows)
            self.noted.inputs = values if plan.is_tool else [values.get(name) for name in plan.output_sources]
            self.check_there(self.noted.inputs)
            held = hold(self, context, self.given_job(context))
            destination = destination_of(held, task, self._check_stopped)
            document = self.document
            outputs = execution.finish(document.compiled, document.source, values, destination, self.check_size)
            self.noted.outputs = outputs
            self._announce(context, plan, outputs)
            # runs.cleaning removes intermediate files once Airflow has stored this.
            return self.handing_on(context, outputs)

    def _to_deliver(self, plan: Plan, values: Values) -> Values:
        """Return the values that outputs are made from, with files on this machine that may become outputs."""
        if not plan.is_tool:
            values = {name: values[name] for name in plan.output_sources if name in values}
        return self._staging.fetch(handing_on.in_memory(values), is_own=True)

    def _announce(self, context: Context, plan: Plan, outputs: CwlObject) -> None:
        """Have Airflow record an event for each asset that was delivered, once it records that this task succeeded."""
        from cwl_ui_plugin.dags.assets import delivered

        run = context["dag_run"]
        for asset, extra in delivered(run.dag_id, run.run_id, plan, outputs):
            if asset in self.declared:
                self.outlets.append(asset)
                context["outlet_events"][asset].extra = extra


class CwlGroupDispatchOperator(CwlDispatchOperator):
    """The first task of a group in a Dag that somebody wrote: its ``job`` may come from other tasks."""

    template_fields: Sequence[str] = ("job",)

    def __init__(self, *, job: object, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.job = job

    def execute(self, context: Context) -> dict[str, object]:
        """Return the values of the workflow's inputs, and say that the group has begun."""
        values = super().execute(context)
        context["ti"].xcom_push(key=BEGUN_KEY, value=self.part.version if self.part else "")
        return values

    def given_job(self, context: Context) -> dict[str, object]:
        """Return the job, with the values that other tasks have made."""
        where = f"the group {self.part.name!r}" if self.part else self.task_id
        return part_jobs.complete(read_plan(self.document.compiled), self.job, where)


class CwlGroupGatherOperator(CwlGatherOperator):
    """The last task of such a group: each output is an XCom of its own, besides the output object."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.multiple_outputs = True

    def pulled(self, context: Context) -> Values:
        """Return what the outputs are made from; skip the task where the group was skipped."""
        values = super().pulled(context)
        if names.SKIPPED in values:
            raise AirflowSkipException("The group was skipped.")
        return values


def hold(task: CwlOperator, context: Context, job: Mapping[str, object]) -> Held:
    """Claim the folders that a task's run, or its part of a Dag, writes to; see :func:`placement.hold`."""
    from cwl_ui_plugin.dags.folders import placement

    run = context["dag_run"]
    if task.part:
        index = context["ti"].map_index
        return task.part.hold(run, -1 if index is None else index)
    return placement.hold(run.dag_id, run.run_id, run.run_after, job)


def destination_of(held: Held, task: TaskTry, check_stopped: Callable[[], None]) -> Destination:
    """Return where a task delivers outputs to, which may be intermediate files of its run."""
    from cwl_ui_plugin.cwl.engine.outputs.delivery import Destination
    from cwl_ui_plugin.cwl.engine.outputs.record import NOBODY
    from cwl_ui_plugin.dags.folders import claims, run_folder
    from cwl_ui_plugin.storing import site

    place = held.folders.outputs
    own = run_folder.run_tmp(task.dag_id, task.run_id).resolve()
    record, lock, claim = claims.record_of(place.path), claims.file_of(place.path), claims.of(place.path)
    owner = claim.owner if claim else NOBODY
    store = site.stored_folder(place.path, check_stopped)
    return Destination(place.path, place.root, own=(own,), record=record, lock=lock, store=store, owner=owner)
