"""The app of GA4GH WES 1.1, and its routes that tell of the service and of runs."""

from __future__ import annotations

from functools import cache
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import FastAPI, Query, Request
from fastapi.responses import PlainTextResponse

from cwl_ui_plugin import addresses, config
from cwl_ui_plugin.api.answering import AnyTextResponse, answered
from cwl_ui_plugin.api.errors import install
from cwl_ui_plugin.api.schemas import Responses
from cwl_ui_plugin.api.security import clean_address, known, require, same_origin
from cwl_ui_plugin.api.wes import errors, files, models
from cwl_ui_plugin.api.wes.multipart import ATTACHMENT, FIELDS
from cwl_ui_plugin.api.wes.security import OptionalUser, ReadableRun, StoppableRun, User
from cwl_ui_plugin.api.wes.submitting import submit
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.services.errors import BadRequest
from cwl_ui_plugin.services.stopping import stops
from cwl_ui_plugin.services.wes import logs, runs
from cwl_ui_plugin.services.wes.run_ids import position_of, run_id_of
from cwl_ui_plugin.services.wes.service_info import AUTH_INSTRUCTIONS_BELOW, WES_VERSION, service_info

DESCRIPTION = (
    "Workflows in the Common Workflow Language on Airflow. Log in with Airflow's bearer token (`POST /auth/token`) or "
    'its session cookie. Every error is `{"msg": message, "status_code": number}`.'
)
INSTRUCTIONS = """A token for this service is one of Airflow's.

    curl -X POST {root}/auth/token -H 'Content-Type: application/json' \\
        -d '{{"username": "NAME", "password": "PASSWORD"}}'

answers {{"access_token": "..."}}. Send it with each call:

    curl {base}/runs -H 'Authorization: Bearer TOKEN'

Clients that only know a name and a password can send any name with the token as the password (HTTP Basic).
What a user may do is what they may do in Airflow: see a workflow's runs, start them, stop them, upload workflows.
"""
_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["workflow_type", "workflow_type_version", "workflow_url"],
                    "properties": {
                        **{name: {"type": "string"} for name in FIELDS},
                        ATTACHMENT: {"type": "array", "items": {"type": "string", "format": "binary"}},
                    },
                }
            }
        },
    }
}
_ERRORS: Responses = {status: {"model": models.ErrorResponse} for status in (400, 401, 403, 404, 413, 500, 503)}
_SIZE = Query(ge=1, description=f"At most {runs.MAX_PAGE} are answered")
PageSize = Annotated[int, _SIZE]
PageToken = Annotated[str, Query(description="The next_page_token of the page before")]


@cache
def app() -> FastAPI:
    """Return the app."""
    made = FastAPI(
        title="Workflow Execution Service",
        version=WES_VERSION,
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's pages load their scripts from another host
        redoc_url=None,
        dependencies=[same_origin, clean_address],
        default_response_class=AnyTextResponse,
        responses=_ERRORS,
    )
    install(made, errors.answer)
    made.get("/service-info", operation_id="GetServiceInfo")(get_service_info)
    made.get(AUTH_INSTRUCTIONS_BELOW, operation_id="GetAuthInstructions")(get_auth_instructions)
    made.get(addresses.WES_RUNS_BELOW, operation_id="ListRuns", response_model=models.RunListResponse)(list_runs)
    made.post(addresses.WES_RUNS_BELOW, operation_id="RunWorkflow", response_model=models.RunId, openapi_extra=_FORM)(
        run_workflow
    )
    run = f"{addresses.WES_RUNS_BELOW}/{{run_id}}"
    made.get(run, operation_id="GetRunLog", responses=_answers(models.RunLog))(get_run_log)
    made.get(f"{run}/status", operation_id="GetRunStatus", response_model=models.RunStatus)(get_run_status)
    made.get(f"{run}/tasks", operation_id="ListTasks", responses=_answers(models.TaskListResponse))(list_tasks)
    made.get(f"{run}/tasks/{{task_id}}", operation_id="GetTask", responses=_answers(models.TaskLog))(get_task)
    made.post(f"{run}/cancel", operation_id="CancelRun", response_model=models.RunId)(cancel_run)
    made.include_router(files.router, prefix=run)
    return made


def get_service_info(request: Request, user: OptionalUser) -> object:
    """Tell what this service is and can do; the counts of runs are of those that the caller may see."""
    caller = known(user)
    counts = runs.state_counts(permissions.readable_dag_ids(caller) if caller else ())
    return service_info(_base(request), counts)


def get_auth_instructions(request: Request) -> PlainTextResponse:
    """Tell how to log in."""
    base = _base(request)
    return PlainTextResponse(INSTRUCTIONS.format(base=base, root=base.removesuffix(addresses.WES)))


def list_runs(
    user: User,
    page_size: PageSize = runs.DEFAULT_PAGE,
    page_token: PageToken = "",
    state: Annotated[str, Query(description="Only runs in this state")] = "",
    tag: Annotated[tuple[str, ...], Query(description="Only runs with this tag, as name=value", max_length=20)] = (),
) -> object:
    """List the runs of the workflows that the caller may see, newest first."""
    dag_ids = permissions.readable_dag_ids(user)
    before = position_of(page_token)
    page = runs.list_runs(dag_ids, size=page_size, before=before, state=state or None, tags=_tags(tag))
    found = [{name: value for name, value in vars(run).items() if value is not None} for run in page.runs]
    return {"runs": found, "next_page_token": page.next_page_token}


async def run_workflow(request: Request, user: User) -> object:
    """Start a run; the answer comes when its workflow is stored and the run is queued."""
    require(permissions.may_add_inputs(user))
    return {"run_id": await submit(request, user)}


def get_run_log(request: Request, run: ReadableRun) -> object:
    """Tell everything about a run."""
    return answered(logs.run_log(*run, _base(request)))


def get_run_status(run: ReadableRun) -> object:
    """Tell how a run stands."""
    return {"run_id": run_id_of(*run), "state": runs.state_of(*run)}


def list_tasks(
    request: Request, run: ReadableRun, page_size: PageSize = runs.DEFAULT_PAGE, page_token: PageToken = ""
) -> object:
    """List the tasks of a run, in the order of its workflow."""
    return logs.list_tasks(*run, _base(request), size=page_size, token=page_token)


def get_task(request: Request, run: ReadableRun, task_id: str) -> object:
    """Tell everything about a task."""
    return logs.task_log(*run, task_id, _base(request))


def cancel_run(run: StoppableRun, user: User) -> object:
    """Stop a run, and answer when none of its processes is left."""
    runs.state_of(*run)  # there is one
    stops.stop_run(*run, user=user.get_name())
    return {"run_id": run_id_of(*run)}


def _base(request: Request) -> str:
    """Return the address of this service as the caller knows it.

    A proxy that speaks https to callers may speak http to this server, and tell nobody: clients would then be led to
    send their token in the clear.
    """
    site = config.base_url()
    if urlsplit(site).netloc == request.url.netloc:
        return f"{site}{addresses.WES}"
    return f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"


def _tags(given: tuple[str, ...]) -> dict[str, str]:
    tags = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            raise BadRequest(f"The tag {text[:80]!r} is not written as name=value.")
        tags[name] = value
    return tags


def _answers(model: object) -> Responses:
    return {200: {"model": model}}
