"""The demo: a real workflow, triggered with a signature, run by Airflow and cwltool, its reports verified.

It only uses what every user has: the command ``cwl-ui-plugin`` and HTTP. With DEMO_EXIT=1 it stops the server at the
end; else the server stays until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx

EXAMPLES = Path(__file__).resolve().parent
COMMAND = [sys.executable, "-m", "cwl_ui_plugin.cli.main"]
PATIENCE_SECONDS = 300


def main() -> int:
    """Run the demo; return 0 if everything was as it should be."""
    home = Path(os.environ.get("DEMO_HOME", Path(tempfile.gettempdir()) / f"cwl-ui-plugin-demo-{os.getuid()}"))
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    say(f"Starting Airflow with the plugin in {home} (logs in {home}/airflow/logs)")
    with server(home) as login, receiver(home) as port, contextlib.ExitStack() as portals:
        client = log_in(login)
        key = set_up_signing(home, client, port)
        dag_ids = upload_examples(login)
        run_id = f"demo-{uuid.uuid4().hex[:8]}"
        trigger(login, "gc-content", run_id, key)
        ok = watch(client, "gc-content", run_id) and show_reports(home, run_id)
        if ok and os.environ.get("PORTAL") == "1":
            ok = portals.enter_context(portal(home, client)) is not None
        say("The demo went through." if ok else "The demo FAILED.")
        print(f"\nOpen {login['url']}/plugin/cwl in a browser.")
        print(f"User: {login['user']}   Password: {login['password']}   Workflows: {', '.join(dag_ids)}\n")
        if os.environ.get("DEMO_EXIT") != "1" and ok:
            print("Ctrl-C stops the server.", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
    return 0 if ok else 1


def say(text: str) -> None:
    """Print a headline."""
    print(f"\n\033[1m==> {text}\033[0m" if sys.stdout.isatty() else f"\n==> {text}", flush=True)


@contextlib.contextmanager
def server(home: Path) -> Iterator[dict[str, Any]]:
    """Start a server on a free port; yield its url, user and password."""
    ready = home / "ready.json"
    ready.unlink(missing_ok=True)
    arguments = ["standalone", "--port", "0", "--home", str(home / "airflow"), "--ready-file", str(ready)]
    with background([*arguments, "--input-root", str(EXAMPLES / "data")], home / "server.log") as process:
        wait_for(lambda: ready.exists() or process.poll() is not None, "the server")
        if not ready.exists():
            sys.exit(f"The server did not start:\n{(home / 'server.log').read_text()[-3000:]}")
        yield json.loads(ready.read_text())


@contextlib.contextmanager
def receiver(home: Path) -> Iterator[int]:
    """Start the receiver of reports, which verifies them with our public key; yield its port."""
    log = home / "reports.log"
    make_keys(home)
    arguments = ["report-server", "--port", "0", "--public-key", str(home / "key.pem.pub")]
    with background(arguments, log):
        line = wait_for(lambda: log.read_text().partition("\n")[0], "the receiver")
        yield int(line.rsplit(":", 1)[1])


@contextlib.contextmanager
def portal(home: Path, client: httpx.Client) -> Iterator[str | None]:
    """Start the example of a portal, and run a workflow through it; yield its address, or None if that failed."""
    say("Starting a portal, which reports go to from now on")
    log, key = home / "portal.log", home / "key.pem"
    os.environ.update(
        PORTAL_URL=os.environ["CWL_UI_URL"],
        PORTAL_TOKEN=os.environ["CWL_UI_TOKEN"],
        PORTAL_KEY=str(key),
        PORTAL_REPORTS_KEY=f"{key}.pub",
    )
    with background([str(EXAMPLES / "portal" / "portal.py")], log, command=[sys.executable]):
        url = wait_for(lambda: log.read_text().partition("\n")[0], "the portal")
        set_up_signing(home, client, int(url.rsplit(":", 1)[1]))
        yield url if run_through_portal(url) else None


def run_through_portal(url: str) -> bool:
    """Start a run on the portal's page, and wait until the reports that it has received show the results."""
    genome = {"class": "File", "location": str(EXAMPLES / "data" / "lambda_virus.fa")}
    job = {"genome": genome, "window": 500, "title": "GC content, by a portal"}
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as browser:
        if "gc-content" not in browser.get("/").text:
            return False
        started = browser.post("/workflows/gc-content", data={"job": json.dumps(job)})
        page = started.headers.get("location", "")
        if not page:
            print(started.text)
            return False

        def ended() -> str:
            text = browser.get(page).text
            return text if "<pre>" in text or "failed, " in text else ""

        is_good = "<pre>" in wait_for(ended, "the results at the portal")
    print(f"The portal has the results: {url}{page}", flush=True)
    return is_good


@contextlib.contextmanager
def background(arguments: list[str], log: Path, command: list[str] = COMMAND) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside us, with its output in a log; end it at the end."""
    with log.open("w") as file:
        process = subprocess.Popen(
            [*command, *arguments], stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def make_keys(home: Path) -> None:
    """Make the key pair that signs triggers and reports."""
    run("keys", "generate", "--force", str(home / "key.pem"))


def log_in(login: dict[str, Any]) -> httpx.Client:
    """Return a client of Airflow's own API and the plugin's."""
    client = httpx.Client(base_url=login["url"], timeout=60, trust_env=False)
    token = client.post("/auth/token", json={"username": login["user"], "password": login["password"]})
    client.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
    os.environ.update(CWL_UI_URL=login["url"], CWL_UI_TOKEN=token.json()["access_token"])
    return client


def set_up_signing(home: Path, client: httpx.Client, port: int) -> Path:
    """Tell Airflow where reports go to, with which key they are signed, and with which key triggers are verified."""
    key = home / "key.pem"
    say("Setting the report connection and the keys")
    connection = {
        "connection_id": "process_report",
        "conn_type": "http",
        "schema": "http",
        "host": "127.0.0.1",
        "port": port,
        "extra": json.dumps({"endpoint": "satellite/v1/"}),
    }
    client.delete("/api/v2/connections/process_report")
    client.post("/api/v2/connections", json=connection).raise_for_status()
    values = {"process_report_private_key": key.read_text(), "jwt_backend_public_key": Path(f"{key}.pub").read_text()}
    for name, value in values.items():
        client.delete(f"/api/v2/variables/{name}")
        client.post("/api/v2/variables", json={"key": name, "value": value}).raise_for_status()
    return key


def upload_examples(login: dict[str, Any]) -> list[str]:
    """Upload the examples."""
    say("Uploading the examples")
    documents = ["gc-content/gc-content.cwl", "variant-calling/variant-calling.cwl", "word-count.cwl"]
    shown = run("upload", "--replace", *(str(EXAMPLES / document) for document in documents))
    print(shown, end="", flush=True)
    return [line.split("\t")[0] for line in shown.splitlines()]


def trigger(login: dict[str, Any], dag_id: str, run_id: str, key: Path) -> None:
    """Trigger a run with a signed conf, as a portal does."""
    say(f"Triggering {dag_id} with a signed conf")
    genome = EXAMPLES / "data" / "lambda_virus.fa"
    job = {"genome": {"class": "File", "location": str(genome)}, "window": 250, "title": "GC content of phage lambda"}
    print(run("trigger", "-d", dag_id, "-r", run_id, "-k", str(key), "-c", json.dumps({"job": job})), flush=True)


def watch(client: httpx.Client, dag_id: str, run_id: str) -> bool:
    """Show the progress of a run, then its output object; return whether it succeeded."""
    shown: list[Any] = []

    def ended() -> Any:
        found = client.get(f"/cwl/api/v1/workflows/{dag_id}/runs/{run_id}").json()
        if found["progress"] not in shown:
            shown.append(found["progress"])
            print(f"  {found['state']:>8} {found['progress']:>3} %", flush=True)
        return found if found["state"] in ("success", "failed") else None

    detail = wait_for(ended, "the end of the run")
    if detail["state"] != "success":
        print(detail["error"])
        return False
    say("The CWL output object")
    print(json.dumps(detail["outputs"], indent=2), flush=True)
    return True


def show_reports(home: Path, run_id: str) -> bool:
    """Print the reports of a run; return whether each signature holds and the results have come."""

    def received() -> list[dict[str, Any]]:
        entries = [json.loads(line) for line in (home / "reports.log").read_text().rpartition("\n")[0].splitlines()[1:]]
        mine = [entry for entry in entries if (entry["payload"] or {}).get("run_id") == run_id]
        return mine if any(entry["route"] == "results" for entry in mine) else []

    reports = wait_for(received, "the report of the results")
    say(f"{len(reports)} reports, each signed and verified")
    for entry in reports:
        payload = entry["payload"]
        what = payload.get("task_id") or (f"{payload['progress']} %" if "progress" in payload else "")
        facts = f"{entry['route']:<9} {payload.get('state', ''):<9} {what:<20}"
        print(f"  {payload['sequence']:>3} {facts} {entry['verified']}")
    return all(entry["verified"] == "yes" for entry in reports)


def run(*arguments: str) -> str:
    """Run the command; return what it printed."""
    result = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"cwl-ui-plugin {' '.join(arguments[:2])} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of ``condition``."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.2)
    return sys.exit(f"{what} did not come within {PATIENCE_SECONDS} seconds")


if __name__ == "__main__":
    sys.exit(main())
