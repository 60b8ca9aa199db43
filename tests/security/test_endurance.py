"""Much at once, and expressions without an end: the server stays up, and says what is too much."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.cast import API, SHOWN, VIEWS, Site

pytestmark = [pytest.mark.e2e, pytest.mark.again("with the other auth manager", variant="simple")]
AT_ONCE = 200
MAX_SECONDS = 100
"""No answer may take longer, however many ask: what waits is refused with 503."""
EXPRESSIONS = {
    "endless": "${while (true) {}}",
    "greedy": "${var all = []; while (true) { var part = new Uint8Array(1 << 28); part.fill(1); all.push(part); }}",
    "growing": "${var all = 'x'; while (true) { all += all; }}",
    "deep": "${function f() { return f() + 1; } return f();}",
    "curious": "${return Object.keys(this.constructor.constructor('return this')().process.env).join()}",
}


@pytest.fixture(autouse=True)
def once(site: Site) -> None:
    if site.auth != "simple":
        pytest.skip("the same under each auth manager")


class Watch:
    """Asks the server all the time how it is, while others keep it busy."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.statuses: Counter[int] = Counter()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_reason: Any) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        with self.site.client("the-viewer") as client:
            while not self._over.is_set():
                self.statuses[client.get(f"{API}/workflows").status_code] += 1
                self._over.wait(0.5)


def statuses(send: Any, count: int = AT_ONCE) -> Counter[int]:
    """Return how often each status was answered; each error has words, and no traceback."""

    def status(number: int) -> int:
        answer: httpx.Response = send(number)
        assert "Traceback" not in answer.text
        assert answer.is_success or answer.json()["detail"]
        return answer.status_code

    with ThreadPoolExecutor(count) as pool:
        return Counter(pool.map(status, range(count)))


def test_200_uploads_of_workflows_at_once(site: Site) -> None:
    """They are refused for their content in turn, or at once because too many wait; nothing is left of them."""
    limits = httpx.Limits(max_connections=AT_ONCE)
    folder = site.server.home / "cwl" / "workflows" / "uploads"
    with Watch(site) as watch, site.client() as admin:
        admin._transport = httpx.HTTPTransport(limits=limits, retries=0)

        def send(number: int) -> httpx.Response:
            sent = {"files": (f"many{number}.cwl", "cwlVersion: v9\nclass: CommandLineTool\n")}
            return admin.post(f"{API}/workflows", params={"wait": False}, files=sent)

        found = statuses(send)
        assert set(found) <= {202, 503}, found
        assert found[202] >= 1, found
        deadline = time.monotonic() + 240
        waiting = {path.name for path in folder.iterdir()} if folder.exists() else set()
        while waiting and time.monotonic() < deadline:
            states = {name: admin.get(f"{API}/uploads/{name}") for name in waiting}
            waiting = {name for name, answer in states.items() if answer.status_code == 200 and not _has_ended(answer)}
            time.sleep(1)
        assert not waiting, f"{len(waiting)} uploads did not end"
    assert set(watch.statuses) == {200}
    assert watch.statuses[200] > 2


def _has_ended(answer: httpx.Response) -> bool:
    return answer.json()["state"] in ("done", "failed")


def test_200_input_files_at_once(site: Site) -> None:
    with Watch(site) as watch, site.client("the-user") as user:
        user._transport = httpx.HTTPTransport(limits=httpx.Limits(max_connections=AT_ONCE))
        content = os.urandom(20_000)

        def send(number: int) -> httpx.Response:
            return user.post(f"{API}/inputs", params={"name": f"{number}.bin"}, content=content)

        found = statuses(send)
        assert set(found) <= {201, 413, 503}, found
    with site.client("the-op") as op:
        parts = statuses(lambda number: op.post(f"{API}/inputs/parts", params={"name": f"{number}", "size": 9}), 60)
        assert parts[413] > 0, "one user may not begin uploads without end"
        assert set(parts) <= {201, 413, 503}, parts
    assert set(watch.statuses) == {200}


def test_100_000_values_in_a_job(site: Site) -> None:
    """Many names and many values are checked, or refused, in bounded time; too large a body is not read."""
    file = {"class": "File", "contents": "x", "basename": "x"}
    jobs: dict[str, dict[str, Any]] = {
        "names": {f"name{number}": number for number in range(100_000)},
        "names like inputs": {f"tex{number}": number for number in range(100_000)},
        "directives": {f"a:{number}": number for number in range(100_000)},
        "files": {"more": [file] * 100_000},
        "wrong files": {"more": [{"class": "File", "location": "/etc/passwd"}] * 5_000},
    }
    before = site.runs()
    with Watch(site) as watch, site.client("the-user") as user:
        for name, job in jobs.items():
            started = time.monotonic()
            body = {"run_id": f"many-{uuid.uuid4()}", "job": job}  # without the text that is required
            answer = user.post(f"{API}/workflows/{SHOWN}/runs", json=body)
            assert answer.status_code == 422, (name, answer.text[:300])
            assert len(answer.content) < 1_000_000, f"{name}: problems without end"
            assert time.monotonic() - started < MAX_SECONDS, name
        large = json.dumps({"run_id": "large", "job": {"text": "x" * 17_000_000}})
        answer = user.post(f"{API}/workflows/{SHOWN}/runs", content=large)
        assert answer.status_code == 413, answer.text[:300]
    assert site.runs() == before
    assert set(watch.statuses) == {200}


def test_100_000_inputs_in_a_document(site: Site) -> None:
    inputs = "".join(f"  i{number}: int?\n" for number in range(100_000))
    document = f"cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: [echo]\noutputs: {{}}\ninputs:\n{inputs}"
    with Watch(site) as watch, site.client() as admin:
        sent = {"files": ("many.cwl", document)}
        answer = admin.post(f"{API}/workflows", params={"wait": False}, files=sent, data={"dag_id": "many"})
        assert answer.status_code == 202, answer.text
        with site.browser("the-viewer") as viewer:  # while it is validated, everything else goes on
            for path in ("/workflows", f"/workflows/{SHOWN}", "/runs"):
                assert viewer.get(f"{VIEWS}{path}").status_code == 200
    assert set(watch.statuses) == {200}


def test_an_expression_without_an_end_fails_its_run_only(site: Site) -> None:
    """A real run of each: it fails with what was wrong, and the worker takes the next run."""
    runs = {}
    with site.client() as admin:
        for name, expression in EXPRESSIONS.items():
            inputs = {"text": {"type": "string", "inputBinding": {"valueFrom": expression}}}
            tool = {"cwlVersion": "v1.2", "class": "CommandLineTool", "baseCommand": "echo", "inputs": inputs}
            needs = {"requirements": {"InlineJavascriptRequirement": {}}, "outputs": {"out": "stdout"}, "stdout": "out"}
            sent = {"files": (f"{name}.cwl", json.dumps(tool | needs))}
            assert admin.post(f"{API}/workflows", files=sent).status_code == 201
            runs[name] = f"{name}-{uuid.uuid4()}"
            assert site.trigger("the-user", name, runs[name], {"text": "x"}).status_code == 201
        errors = {}
        for name, run_id in runs.items():
            run = site.server.wait_for_run(admin, name, run_id, seconds=300)
            errors[name] = run["error"] or ""
            if name == "curious" and run["state"] == "success":
                shown = admin.get(f"{API}/workflows/{name}/runs/{run_id}/files/out").text
                assert "AIRFLOW" not in shown, "an expression reads the worker's environment"
                continue
            assert run["state"] == "failed", name
            assert "Traceback" not in errors[name], name
        assert "seconds" in errors["endless"], errors
        assert "memory" in errors["greedy"] or "allocation failed" in errors["greedy"], errors
        assert all(errors[name] for name in runs if name != "curious"), errors
        after = f"after-{uuid.uuid4()}"
        assert site.trigger("the-user", SHOWN, after, {"text": "x"}).status_code == 201
        assert site.server.wait_for_run(admin, SHOWN, after)["state"] == "success"
    assert not list(Path("/tmp").glob("evil-*"))
