"""The client for programs that do many things at a time, with asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx

from cwl_ui_client import flows, http, running, staging, uploading
from cwl_ui_client.errors import CwlUiError, WaitTimeout
from cwl_ui_client.flows import Job
from cwl_ui_client.models import Batch, Result, Run, StopReport, Workflow
from cwl_ui_client.running import Key, Stream
from cwl_ui_client.steps import REST, TIMEOUT_SECONDS, Answer, Download, Flow, Pause, Request
from cwl_ui_client.uploading import Report, silent

T = TypeVar("T")


class AsyncClient:
    """A server and a login. Use it with ``async with``, which also logs in; or call :meth:`login` and :meth:`close`.

    What can go wrong is a :class:`~cwl_ui_client.errors.CwlUiError`. Paths in a job are relative to ``basedir``, the
    current folder by default; a :class:`pathlib.Path` in it stands for a File or Directory. ``progress`` is called with
    a :class:`~cwl_ui_client.models.Progress`.
    """

    def __init__(
        self,
        url: str = http.DEFAULT_URL,
        *,
        token: str | None = None,
        user: str | None = None,
        password: str | None = None,
        timeout: float = TIMEOUT_SECONDS,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect to a server: with Airflow's bearer token, or a user and a password, of any auth manager."""
        self.url = url.rstrip("/")
        try:
            self._http = httpx.AsyncClient(transport=transport, **http.settings(url, timeout))
        except httpx.InvalidURL as error:
            raise http.unreachable(url, error) from error
        if token:
            self._use(token)
        self._pending = (user, password or "") if user and not token else None

    @classmethod
    def from_env(
        cls, *, timeout: float = TIMEOUT_SECONDS, transport: httpx.AsyncBaseTransport | None = None
    ) -> AsyncClient:
        """Connect to the server of CWL_UI_URL with CWL_UI_TOKEN, or CWL_UI_USER and CWL_UI_PASSWORD."""
        found = http.Login.from_env()
        return cls(
            found.url, token=found.token, user=found.user, password=found.password, timeout=timeout, transport=transport
        )

    async def login(self, user: str, password: str) -> None:
        """Log in; raise :class:`~cwl_ui_client.errors.NotLoggedIn` for a wrong user or password."""
        try:
            response = await self._http.post("/auth/token", json={"username": user, "password": password})
        except http.TROUBLE as error:
            raise http.unreachable(self.url, error) from error
        self._use(http.token_of(self.url, response, user))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        if self._pending:
            user, password = self._pending
            try:
                await self.login(user, password)
            except BaseException:
                await self.close()
                raise
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def upload(
        self,
        document: str | Path,
        *,
        dag_id: str | None = None,
        main: str | None = None,
        replace: bool = False,
        progress: Report = silent,
    ) -> Workflow:
        """Upload a document with all that it refers to, or a zip; return the workflow once it can be run."""
        name = str(document)
        uploaded = await self._do(uploading.upload(name, dag_id=dag_id, main=main, replace=replace, report=progress))
        return await self.workflow(uploaded.dag_id)

    async def import_workflow(
        self,
        address: str,
        *,
        ref: str | None = None,
        main: str | None = None,
        dag_id: str | None = None,
        replace: bool = False,
        progress: Report = silent,
    ) -> Workflow:
        """Have the server fetch a workflow: a TRS id or address, a git repository, a zip, or a document."""
        uploaded = await self._do(
            uploading.import_workflow(address, ref=ref, main=main, dag_id=dag_id, replace=replace, report=progress)
        )
        return await self.workflow(uploaded.dag_id)

    async def workflow(self, dag_id: str) -> Workflow:
        """Return a workflow with its inputs and outputs."""
        return await self._do(flows.get_workflow(dag_id))

    async def workflows(self, search: str = "", *, limit: int = 100, offset: int = 0) -> list[Workflow]:
        """Return workflows that the user may see."""
        return await self._do(flows.list_workflows(search, limit, offset))

    async def send_file(self, path: str | Path, *, progress: Report = silent) -> dict[str, Any]:
        """Send a file, which is resumed after breaks; return it as a File object that jobs may name."""
        return await self._do(staging.send_file(Path(path), report=progress))

    async def submit(
        self,
        dag_id: str,
        job: Job | None = None,
        *,
        basedir: str | Path | None = None,
        run_id: str | None = None,
        key: Key | None = None,
        progress: Report = silent,
    ) -> Run:
        """Send the files of a job that the server does not see, and start a run; with a key, signed."""
        return await self._do(flows.submit(dag_id, job, basedir=basedir, run_id=run_id, key=key, report=progress))

    async def trigger(
        self, dag_id: str, job: Mapping[str, object], *, run_id: str | None = None, key: Key | None = None
    ) -> Run:
        """Start a run of a job whose files the server sees; signed with a key, it needs no login."""
        return await self._do(running.start(dag_id, job, run_id=run_id, key=key))

    async def get_run(self, dag_id: str, run_id: str) -> Run:
        """Return a run with its steps."""
        return await self._do(running.get_run(dag_id, run_id))

    async def runs(self, dag_id: str | None = None, **wanted: str) -> list[Run]:
        """Return runs, newest first: ``text``, ``tag``, ``shown_state``, ``limit``, ``offset`` as in the REST API."""
        return await self._do(running.list_runs(dag_id, **wanted))

    async def stop(self, dag_id: str, run_id: str, *, remove: bool = False) -> StopReport:
        """Stop a run, and return when no process of it is left."""
        return await self._do(running.stop(dag_id, run_id, remove=remove))

    async def run_again(self, dag_id: str, run_id: str) -> Run:
        """Start a run like an earlier one."""
        return await self._do(running.run_again(dag_id, run_id))

    async def continue_run(self, dag_id: str, run_id: str) -> Run:
        """Let a failed run go on from where it failed."""
        return await self._do(running.go_on(dag_id, run_id))

    async def log(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        *,
        stream: Stream = "stderr",
        map_index: int = -1,
        try_number: int = 1,
    ) -> str:
        """Return what the command of a step has printed until now."""
        return await self._do(
            running.log(dag_id, run_id, task_id, stream=stream, map_index=map_index, try_number=try_number)
        )

    async def fetch(self, run: Run, outdir: str | Path, *, progress: Report = silent) -> Result:
        """Bring the outputs of a run that has succeeded into a folder; their checksums are verified."""
        return await self._do(flows.fetch(self.url, run, outdir, progress))

    async def start_batch(
        self,
        dag_id: str,
        sheet: str | Path,
        *,
        mapping: Mapping[str, str] | None = None,
        constants: Mapping[str, object] | None = None,
        start: Literal["all", "good"] = "all",
        name: str = "",
    ) -> Batch:
        """Start a run for each row of a sheet (CSV, TSV, XLSX)."""
        return await self._do(
            running.start_batch(dag_id, sheet, mapping=mapping, constants=constants, start=start, name=name)
        )

    async def get_batch(self, dag_id: str, batch_id: str) -> Batch:
        """Return a batch without its rows."""
        return await self._do(running.get_batch(dag_id, batch_id))

    async def watch(self, dag_id: str, run_id: str) -> AsyncIterator[Run]:
        """Yield a run whenever it has got on, and at last when it has ended, however that was."""
        shown, waits = None, running.pauses()
        while True:
            run = await self.get_run(dag_id, run_id)
            if (run.progress, run.state, run.waits) != shown:
                shown, waits = (run.progress, run.state, run.waits), running.pauses()
                yield run
            if run.has_ended:
                return
            await asyncio.sleep(next(waits))

    async def wait(self, dag_id: str, run_id: str, *, progress: Report = silent, timeout: float | None = None) -> Run:
        """Wait until a run has ended, and return it.

        Raises:
            RunFailed: it did not succeed; ``error.run`` is all about it.
            WaitTimeout: it has not ended within ``timeout`` seconds; it goes on.

        """
        run = await self._do(flows.wait(dag_id, run_id, progress, timeout), timeout)
        running.check_ending(run)
        return run

    async def run(
        self,
        document: str | Path,
        job: Job | None = None,
        *,
        outdir: str | Path | None = None,
        dag_id: str | None = None,
        basedir: str | Path | None = None,
        run_id: str | None = None,
        key: Key | None = None,
        replace: bool = False,
        progress: Report = silent,
        timeout: float | None = None,
    ) -> Result:
        """Upload a document, run it, wait, and bring its outputs into ``outdir``, if that is given.

        The workflow is named after the document and its content, unless a ``dag_id`` is given; another workflow that
        has that name gets a new version only with ``replace``. The job is an object or the name of a file. Whoever
        cancels this (Ctrl-C, ``asyncio.timeout``) stops the run, as far as the server can be reached.

        Raises:
            UsageError: a file is not there.
            Conflict: there is another workflow of the name ``dag_id``, and it is not to be replaced.
            Invalid: the document or the job can't be used, with ``problems``.
            RunFailed: the run did not succeed; ``error.run`` is all about it.
            WaitTimeout: it has not ended within ``timeout`` seconds; it goes on.

        """
        begun = await self._do(
            flows.begin(
                document, job, dag_id=dag_id, basedir=basedir, run_id=run_id, key=key, replace=replace, report=progress
            )
        )
        try:
            ended = await self._do(flows.wait(begun.dag_id, begun.run_id, progress, timeout), timeout)
        except asyncio.CancelledError:
            with contextlib.suppress(CwlUiError):
                await self.stop(begun.dag_id, begun.run_id)
            raise
        return await self._do(flows.finish(self.url, ended, outdir, progress))

    async def wait_for_batch(self, dag_id: str, batch_id: str, *, timeout: float | None = None) -> Batch:
        """Wait until no row of a batch is going to change by itself, and return it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for pause in running.pauses(ceiling=5.0):
            batch = await self.get_batch(dag_id, batch_id)
            if batch.has_ended:
                return batch
            if deadline is not None and time.monotonic() > deadline:
                break
            await asyncio.sleep(pause)
        raise WaitTimeout(f"The batch {batch_id} has not ended within {timeout:g} seconds; it goes on.")

    def _use(self, token: str) -> None:
        self._http.headers["Authorization"] = f"Bearer {token}"

    async def _do(self, flow: Flow[T], timeout: float | None = None) -> T:
        """Drive a flow to its end; after ``timeout`` seconds it gets no more pauses."""
        deadline = None if timeout is None else time.monotonic() + timeout
        answer: object = None
        problem: CwlUiError | None = None
        while True:
            try:
                step = flow.send(answer) if problem is None else flow.throw(problem)
            except StopIteration as end:
                result: T = end.value
                return result
            answer, problem = None, None
            try:
                answer = await self._step(step, deadline)
            except CwlUiError as error:
                problem = error

    async def _step(self, step: Request | Download | Pause, deadline: float | None) -> Answer | str | None:
        if isinstance(step, Request):
            return await self._request(step)
        if isinstance(step, Download):
            return await self._download(step)
        if deadline is not None and time.monotonic() > deadline:
            raise WaitTimeout("It has not ended in the time that was given; it goes on.")
        await asyncio.sleep(step.seconds)
        return None

    async def _request(self, request: Request) -> Answer:
        return http.answered(await self._tried(request, lambda: self._http.request(**http.sent(request))))

    async def _download(self, download: Download) -> str:
        return await self._tried(Request("GET", download.path, repeatable=True), lambda: self._saved(download))

    async def _tried(self, request: Request, once: Callable[[], Awaitable[T]]) -> T:
        """Do something once, and again as long as that may help."""
        tries = http.Tries(self.url, request)
        while True:
            try:
                found = await once()
            except http.TROUBLE as error:
                await asyncio.sleep(tries.pause_after(error))
                continue
            pause = tries.pause_before(found)
            if pause is None:
                return found
            await asyncio.sleep(pause)

    async def _saved(self, download: Download) -> str:
        """Save what is answered; return its SHA-1. httpx raises an error where the answer breaks off."""
        digest = hashlib.sha1(usedforsecurity=False)
        async with self._http.stream("GET", REST + download.path) as response:
            if not response.is_success:
                await response.aread()
                raise http.refused(response)
            with download.target.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    digest.update(chunk)
                    file.write(chunk)
        return digest.hexdigest()
