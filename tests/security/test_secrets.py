"""Where secrets of the server and of a job might come out: templates, XComs, processes, logs, the home's files."""

from __future__ import annotations

import json
import os
import stat
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.airflow_server import wait_for
from support.cast import API, SHOWN, VIEWS, Site

pytestmark = [pytest.mark.e2e, pytest.mark.again("with the other auth manager", variant="simple")]
SECRET = f"secret-of-a-job-{uuid.uuid4().hex}"
DAG_ID = "keeps-secrets"
DOCUMENT = """
cwlVersion: v1.2
class: CommandLineTool
$namespaces: {cwltool: "http://commonwl.org/cwltool#"}
hints: {"cwltool:Secrets": {secrets: [password]}}
requirements:
  EnvVarRequirement: {envDef: {PASSWORD: $(inputs.password)}}
baseCommand: [sh, -c, 'test -n "$PASSWORD" && echo used; sleep "$0"']
inputs:
  password: string
  seconds: {type: int, inputBinding: {}}
outputs: {out: stdout}
stdout: out.txt
"""


def own_secrets(site: Site) -> dict[str, str]:
    """Return the server's own secrets, and the passwords of its users."""
    kept: dict[str, Any] = json.loads((site.server.home / "secrets.json").read_text())
    return {
        **{name: str(value) for name, value in kept.items()},
        **{f"of {k}": v for k, v in site.server.passwords.items()},
    }


@pytest.fixture(scope="module")
def run_id(site: Site) -> Iterator[str]:
    with site.client() as admin:
        sent = {"files": (f"{DAG_ID}.cwl", DOCUMENT)}
        answer = admin.post(f"{API}/workflows", files=sent)
        assert answer.status_code == 201, answer.text
        found = f"with-secret-{uuid.uuid4()}"
        assert site.trigger("the-user", DAG_ID, found, {"password": SECRET, "seconds": 6}).status_code == 201
        yield found


def test_a_secret_of_a_job_is_in_no_place_where_others_look(site: Site, run_id: str) -> None:
    """Not in the list of processes while it runs, not in logs, XComs, templates, pages. The conf has it: see docs."""
    lines: set[str] = set()

    def ended(client: Any) -> bool:
        lines.update(command_lines())
        return client.get(f"{API}/workflows/{DAG_ID}/runs/{run_id}").json()["state"] in ("success", "failed")

    with site.client("the-viewer") as viewer, site.client() as admin, site.browser("the-viewer") as browser:
        wait_for(lambda: ended(viewer), 180, "the end of the run")
        assert viewer.get(f"{API}/workflows/{DAG_ID}/runs/{run_id}").json()["state"] == "success"
        assert not [line for line in lines if SECRET in line]
        run = f"dag_id={DAG_ID}&run_id={run_id}"
        for path in (
            f"/run?{run}",
            f"/run/step?{run}&task_id={DAG_ID}",
            f"/run/outputs?{run}",
            f"/runs/{DAG_ID}/{run_id}/reports",
        ):
            assert SECRET not in browser.get(f"{VIEWS}{path}").text, path
        base = f"/api/v2/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances"
        for instance in admin.get(base).json()["task_instances"]:
            task = instance["task_id"]
            assert SECRET not in json.dumps(instance["rendered_fields"]), task
            assert SECRET not in admin.get(f"{base}/{task}/logs/1").text, task
            xcoms = admin.get(f"{base}/{task}/xcomEntries").json()["xcom_entries"]
            for entry in xcoms:
                value = admin.get(f"{base}/{task}/xcomEntries/{entry['key']}").text
                assert SECRET not in value, (task, entry["key"])
        for path in (
            f"{API}/workflows/{DAG_ID}/runs/{run_id}/files/out.txt",
            f"{API}/workflows/{DAG_ID}/runs/{run_id}/zip",
        ):
            assert SECRET.encode() not in viewer.get(path).content, path


def command_lines() -> list[str]:
    """Return the command lines of all processes, as everybody on the machine can read them."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(process.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    own = str(os.getpid())
    return [line for line in found if own not in line]


def test_a_secret_of_a_job_is_in_no_log_of_the_server(site: Site, run_id: str) -> None:
    with site.client() as admin:
        site.server.wait_for_run(admin, DAG_ID, run_id)
    logs = [path for path in (site.server.home / "logs").rglob("*") if path.is_file()]
    assert len(logs) > 4
    secrets = {"the job's": SECRET, **own_secrets(site)}
    wrong = []
    for path in logs:
        content = path.read_bytes()
        wrong += [f"{name} is in {path.name}" for name, secret in secrets.items() if secret.encode() in content]
    assert wrong == []


def test_no_secret_of_the_server_is_on_a_command_line(site: Site) -> None:
    wrong = []
    for line in command_lines():
        wrong += [name for name, secret in own_secrets(site).items() if secret in line]
    assert wrong == []


def test_no_command_knows_the_servers_secrets(site: Site) -> None:
    """A tool is started with an environment of its own; what it prints of it is what it knows."""
    tool = {"cwlVersion": "v1.2", "class": "CommandLineTool", "baseCommand": "env", "inputs": {}}
    document = json.dumps({**tool, "outputs": {"out": "stdout"}, "stdout": "out.txt"})
    with site.client() as admin:
        sent = {"files": ("shows-env.cwl", document)}
        assert admin.post(f"{API}/workflows", files=sent).status_code == 201
        name = f"env-{uuid.uuid4()}"
        assert site.trigger("the-user", "shows-env", name, {}).status_code == 201
        assert site.server.wait_for_run(admin, "shows-env", name)["state"] == "success"
        shown = admin.get(f"{API}/workflows/shows-env/runs/{name}/files/out.txt").text
    assert "AIRFLOW" not in shown
    assert [name for name, secret in own_secrets(site).items() if secret in shown] == []


def test_nothing_of_the_home_is_for_other_users_of_the_machine(site: Site) -> None:
    """Folders are 0700 and files 0600 at least from the home on; so a loose umask opens nothing."""
    home = site.server.home
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    open_to_others = [
        f"{stat.S_IMODE(path.lstat().st_mode):o} {path.relative_to(home)}"
        for path in home.rglob("*")
        if not path.is_symlink() and path.exists() and path.lstat().st_mode & 0o007
    ]
    sensitive = ("secrets.json", "passwords.json", "airflow.db", "cwl/inputs", "cwl/outputs", "cwl/tmp", "logs")
    wrong = [line for line in open_to_others if line.split(" ", 1)[1].startswith(sensitive)]
    assert wrong[:10] == []


def test_no_answer_tells_where_the_server_keeps_its_files(site: Site) -> None:
    """What is refused is named as it was asked for; paths of the server are for those who may use them."""
    home = str(site.server.home)
    with site.client("the-viewer") as viewer, site.browser("the-viewer") as browser:
        asked = (
            *(f"{API}/workflows/no-such", f"{API}/workflows/{SHOWN}/source?path=../x", f"{API}/uploads/{'0' * 32}"),
            *(f"{API}/workflows/{SHOWN}/runs/no-such", f"{API}/workflows/{SHOWN}/runs/first/files/no-such"),
            f"{API}/workflows/{SHOWN}/runs/first/zip?path=no-such",
        )
        for path in asked:
            answer = viewer.get(path)
            assert answer.status_code in (400, 403, 404), path
            assert home not in answer.text, path
        for page in (f"/workflows/{SHOWN}", f"/workflows/{SHOWN}/source", "/workflows", "/runs"):
            assert home not in browser.get(f"{VIEWS}{page}").text, page
