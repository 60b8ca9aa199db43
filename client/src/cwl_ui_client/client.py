"""The client for programs that do one thing after the other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import httpx

from cwl_ui_client import flows, http, running, staging, uploading
from cwl_ui_client.errors import WaitTimeout
from cwl_ui_client.flows import Job
from cwl_ui_client.models import Batch, Result, Run, StopReport, Workflow
from cwl_ui_client.running import Key, Stream
from cwl_ui_client.steps import REST, TIMEOUT_SECONDS, Answer, Download, Flow, Pause, Request, drive
from cwl_ui_client.uploading import Report, silent

T = TypeVar("T")


class Client:
    """A server and a login. Use it with ``with``, or call :meth:`close`.

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
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """Connect to a server: with Airflow's bearer token, or a user and a password, of any auth manager."""
        self.url = url.rstrip("/")
        try:
            self._http = httpx.Client(transport=transport, **http.settings(url, timeout))
        except httpx.InvalidURL as error:
            raise http.unreachable(url, error) from error
        if token:
            self._use(token)
        elif user:
            try:
                self.login(user, password or "")
            except BaseException:
                self.close()
                raise

    @classmethod
    def from_env(cls, *, timeout: float = TIMEOUT_SECONDS, transport: httpx.BaseTransport | None = None) -> Client:
        """Connect to the server of CWL_UI_URL with CWL_UI_TOKEN, or CWL_UI_USER and CWL_UI_PASSWORD."""
        found = http.Login.from_env()
        return cls(
            found.url, token=found.token, user=found.user, password=found.password, timeout=timeout, transport=transport
        )

    def login(self, user: str, password: str) -> None:
        """Log in; raise :class:`~cwl_ui_client.errors.NotLoggedIn` for a wrong user or password."""
        try:
            response = self._http.post("/auth/token", json={"username": user, "password": password})
        except http.TROUBLE as error:
            raise http.unreachable(self.url, error) from error
        self._use(http.token_of(self.url, response, user))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def upload(
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
        uploaded = self._do(uploading.upload(name, dag_id=dag_id, main=main, replace=replace, report=progress))
        return self.workflow(uploaded.dag_id)

    def import_workflow(
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
        uploaded = self._do(
            uploading.import_workflow(address, ref=ref, main=main, dag_id=dag_id, replace=replace, report=progress)
        )
        return self.workflow(uploaded.dag_id)

    def workflow(self, dag_id: str) -> Workflow:
        """Return a workflow with its inputs and outputs."""
        return self._do(flows.get_workflow(dag_id))

    def workflows(self, search: str = "", *, limit: int = 100, offset: int = 0) -> list[Workflow]:
        """Return workflows that the user may see."""
        return self._do(flows.list_workflows(search, limit, offset))

    def send_file(self, path: str | Path, *, progress: Report = silent) -> dict[str, Any]:
        """Send a file, which is resumed after breaks; return it as a File object that jobs may name."""
        return self._do(staging.send_file(Path(path), report=progress))

    def submit(
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
        return self._do(flows.submit(dag_id, job, basedir=basedir, run_id=run_id, key=key, report=progress))

    def trigger(
        self, dag_id: str, job: Mapping[str, object], *, run_id: str | None = None, key: Key | None = None
    ) -> Run:
        """Start a run of a job whose files the server sees; signed with a key, it needs no login."""
        return self._do(running.start(dag_id, job, run_id=run_id, key=key))

    def get_run(self, dag_id: str, run_id: str) -> Run:
        """Return a run with its steps."""
        return self._do(running.get_run(dag_id, run_id))

    def runs(self, dag_id: str | None = None, **wanted: str) -> list[Run]:
        """Return runs, newest first: ``text``, ``tag``, ``shown_state``, ``limit``, ``offset`` as in the REST API."""
        return self._do(running.list_runs(dag_id, **wanted))

    def stop(self, dag_id: str, run_id: str, *, remove: bool = False) -> StopReport:
        """Stop a run, and return when no process of it is left."""
        return self._do(running.stop(dag_id, run_id, remove=remove))

    def run_again(self, dag_id: str, run_id: str) -> Run:
        """Start a run like an earlier one."""
        return self._do(running.run_again(dag_id, run_id))

    def continue_run(self, dag_id: str, run_id: str) -> Run:
        """Let a failed run go on from where it failed."""
        return self._do(running.go_on(dag_id, run_id))

    def log(
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
        return self._do(running.log(dag_id, run_id, task_id, stream=stream, map_index=map_index, try_number=try_number))

    def fetch(self, run: Run, outdir: str | Path, *, progress: Report = silent) -> Result:
        """Bring the outputs of a run that has succeeded into a folder; their checksums are verified."""
        return self._do(flows.fetch(self.url, run, outdir, progress))

    def start_batch(
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
        return self._do(
            running.start_batch(dag_id, sheet, mapping=mapping, constants=constants, start=start, name=name)
        )

    def get_batch(self, dag_id: str, batch_id: str) -> Batch:
        """Return a batch without its rows."""
        return self._do(running.get_batch(dag_id, batch_id))

    def watch(self, dag_id: str, run_id: str) -> Iterator[Run]:
        """Yield a run whenever it has got on, and at last when it has ended, however that was."""
        shown, waits = None, running.pauses()
        while True:
            run = self.get_run(dag_id, run_id)
            if (run.progress, run.state, run.waits) != shown:
                shown, waits = (run.progress, run.state, run.waits), running.pauses()
                yield run
            if run.has_ended:
                return
            time.sleep(next(waits))

    def wait(self, dag_id: str, run_id: str, *, progress: Report = silent, timeout: float | None = None) -> Run:
        """Wait until a run has ended, and return it.

        Raises:
            RunFailed: it did not succeed; ``error.run`` is all about it.
            WaitTimeout: it has not ended within ``timeout`` seconds; it goes on.

        """
        run = self._do(flows.wait(dag_id, run_id, progress, timeout), timeout)
        running.check_ending(run)
        return run

    def run(
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
        has that name gets a new version only with ``replace``. The job is an object or the name of a file. Ctrl-C
        stops the run.

        Raises:
            UsageError: a file is not there.
            Conflict: there is another workflow of the name ``dag_id``, and it is not to be replaced.
            Invalid: the document or the job can't be used, with ``problems``.
            RunFailed: the run did not succeed; ``error.run`` is all about it.
            WaitTimeout: it has not ended within ``timeout`` seconds; it goes on.

        """
        begun = self._do(
            flows.begin(
                document, job, dag_id=dag_id, basedir=basedir, run_id=run_id, key=key, replace=replace, report=progress
            )
        )
        try:
            ended = self._do(flows.wait(begun.dag_id, begun.run_id, progress, timeout), timeout)
        except KeyboardInterrupt:
            self.stop(begun.dag_id, begun.run_id)
            raise
        return self._do(flows.finish(self.url, ended, outdir, progress))

    def wait_for_batch(self, dag_id: str, batch_id: str, *, timeout: float | None = None) -> Batch:
        """Wait until no row of a batch is going to change by itself, and return it."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for pause in running.pauses(ceiling=5.0):
            batch = self.get_batch(dag_id, batch_id)
            if batch.has_ended:
                return batch
            if deadline is not None and time.monotonic() > deadline:
                break
            time.sleep(pause)
        raise WaitTimeout(f"The batch {batch_id} has not ended within {timeout:g} seconds; it goes on.")

    def _use(self, token: str) -> None:
        self._http.headers["Authorization"] = f"Bearer {token}"

    def _do(self, flow: Flow[T], timeout: float | None = None) -> T:
        """Drive a flow to its end; after ``timeout`` seconds it gets no more pauses."""
        deadline = None if timeout is None else time.monotonic() + timeout
        return drive(flow, lambda step: self._step(step, deadline))

    def _step(self, step: Request | Download | Pause, deadline: float | None) -> Answer | str | None:
        if isinstance(step, Request):
            return self._request(step)
        if isinstance(step, Download):
            return self._download(step)
        if deadline is not None and time.monotonic() > deadline:
            raise WaitTimeout("It has not ended in the time that was given; it goes on.")
        time.sleep(step.seconds)
        return None

    def _request(self, request: Request) -> Answer:
        return http.answered(self._tried(request, lambda: self._http.request(**http.sent(request))))

    def _download(self, download: Download) -> str:
        return self._tried(Request("GET", download.path, repeatable=True), lambda: self._saved(download))

    def _tried(self, request: Request, once: Callable[[], T]) -> T:
        """Do something once, and again as long as that may help."""
        tries = http.Tries(self.url, request)
        while True:
            try:
                found = once()
            except http.TROUBLE as error:
                time.sleep(tries.pause_after(error))
                continue
            pause = tries.pause_before(found)
            if pause is None:
                return found
            time.sleep(pause)

    def _saved(self, download: Download) -> str:
        """Save what is answered; return its SHA-1. httpx raises an error where the answer breaks off."""
        digest = hashlib.sha1(usedforsecurity=False)
        with self._http.stream("GET", REST + download.path) as response:
            if not response.is_success:
                response.read()
                raise http.refused(response)
            with download.target.open("wb") as file:
                for chunk in response.iter_bytes():
                    digest.update(chunk)
                    file.write(chunk)
        return digest.hexdigest()
