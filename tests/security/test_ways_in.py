"""Who may start a run decides its inputs, and nothing else: hostile jobs by every way in."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.cast import API, HIDDEN, MARKS, OLD, RUN, SHOWN, VIEWS, Site
from support.hostile_jobs import TABLES, Job, at, by_rest, folder_at

pytestmark = [pytest.mark.e2e, pytest.mark.again("with the other auth manager", variant="simple")]
SECRET = "content-of-somebody-else-91c4"


def by_old_rest(site: Site, client: httpx.Client, job: Job, run_id: str) -> httpx.Response:
    return client.post(f"{OLD}/dags/{SHOWN}/dag_runs", json={"run_id": run_id, "conf": json.dumps({"job": job})})


def by_form(site: Site, client: httpx.Client, job: Job, run_id: str) -> httpx.Response:
    fields = {"run_id": run_id, "job": json.dumps(job), "source": "text"}
    return site.post_form(client, f"/workflows/{SHOWN}/run", fields, headers={"Accept": "text/html"})


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
@pytest.mark.parametrize("send", [by_rest, by_old_rest, by_form], ids=lambda send: send.__name__)
def test_no_hostile_job_starts_a_run(site: Site, table: Callable[[Site], dict[str, Job]], send: Any) -> None:
    if site.auth == "fab" and send is not by_rest:
        pytest.skip("one way in is enough under the second auth manager")
    before = site.runs()
    wrong = []
    with site.browser("the-user") if send is by_form else site.client("the-user") as user:
        for name, part in table(site).items():
            answer = send(site, user, {"text": "x", **part}, f"evil-{uuid.uuid4()}")
            if answer.status_code not in (400, 422):
                wrong.append(f"{name}: {answer.status_code} {answer.text[:200]}")
            elif "Traceback" in answer.text or "root:x:0" in answer.text:
                wrong.append(f"{name}: {answer.text[:300]}")
            elif send is not by_form and not answer.json().get("detail"):
                wrong.append(f"{name}: without a word")
    assert wrong == []
    assert site.runs() == before
    assert not list(Path("/tmp").glob("evil-*"))


def test_what_looks_like_code_is_a_value(site: Site) -> None:
    """Expressions, templates and shell in a value come out as they went in."""
    text = "$(inputs.file) ${return 1} {{ dag_run.conf }} {% raw %} `id` $(id) ; id | id \\ ' \" %s"
    run_id = f"code-{uuid.uuid4()}"
    assert site.trigger("the-user", SHOWN, run_id, {"text": text}).status_code == 201
    with site.client("the-user") as user:
        assert site.server.wait_for_run(user, SHOWN, run_id)["state"] == "success"
        assert user.get(f"{API}/workflows/{SHOWN}/runs/{run_id}/files/out.txt").text == text + "\n"


@pytest.fixture(scope="module")
def uploaded(site: Site) -> Iterator[dict[str, Any]]:
    """A file that ``the-user`` has sent, as a job names it."""
    with site.client("the-user") as user:
        answer = user.post(f"{API}/inputs", params={"name": "mine.txt"}, content=SECRET.encode())
        assert answer.status_code == 201, answer.text
        yield answer.json()


def test_an_upload_is_for_whoever_sent_it(site: Site, uploaded: dict[str, Any]) -> None:
    own, other = f"own-{uuid.uuid4()}", f"other-{uuid.uuid4()}"
    assert site.trigger("the-user", SHOWN, own, {"text": "x", "file": uploaded}).status_code == 201
    path = uploaded["location"].removeprefix("file://")
    relative = path.partition("/cwl/inputs/")[2]
    strangers = [actor.name for actor in site.actors if actor.name in ("one-dag", "the-op")] + ["another-user"]
    for name in strangers:
        with site.client(name) as stranger:
            for location in (uploaded["location"], path, relative, f"./{relative}", relative.replace("mine", "%6dine")):
                answer = site.trigger(name, SHOWN, other, {"text": "x", **at(location)})
                assert answer.status_code == 422, (name, location, answer.text)
            answer = site.trigger(name, SHOWN, other, {"text": "x", **folder_at(str(Path(path).parent))})
            assert answer.status_code == 422, (name, answer.text)
            asked = [path, relative, uploaded["location"], str(Path(path).parent), "uploads"]
            seen = stranger.post(f"{API}/inputs/visible", json={"paths": asked}).json()["visible"]
            assert not any(seen.values()), (name, seen)
            for folder in ("uploads", str(Path(path).parent), str(Path(relative).parent), "", "."):
                listed = stranger.get(f"{API}/inputs/browse", params={"path": folder})
                assert listed.status_code in (200, 400, 403, 404), listed.text
                assert "mine.txt" not in listed.text.replace(folder, ""), (name, folder)
    assert other not in site.runs()


def test_a_run_again_takes_no_file_of_another(site: Site, uploaded: dict[str, Any]) -> None:
    """Whoever may see a run of somebody else and start it again may not read that user's uploads so."""
    run_id = f"with-upload-{uuid.uuid4()}"
    assert site.trigger("the-user", SHOWN, run_id, {"text": "x", "file": uploaded}).status_code == 201
    before = site.runs()
    with site.browser("another-user") as another:
        answer = site.post_form(another, f"/again?dag_id={SHOWN}&run_id={run_id}")
        assert answer.status_code in (403, 422), answer.text[:500]
        form = another.get(f"{VIEWS}/workflows/{SHOWN}/run", params={"from_run": run_id})
        assert SECRET not in form.text
        job = json.dumps({"text": "x", "file": uploaded})
        link = another.get(f"{VIEWS}/workflows/{SHOWN}/run", params={"job": job})
        assert link.status_code in (200, 400)
        assert SECRET not in link.text
    assert site.runs() == before


def test_a_partial_upload_is_for_whoever_began_it(site: Site) -> None:
    with site.client("the-user") as user, site.client("another-user") as another:
        begun = user.post(f"{API}/inputs/parts", params={"name": "part.txt", "size": 4}).json()
        path = f"{API}/inputs/parts/{begun['id']}"
        assert another.get(path).status_code == 404
        assert another.put(path, params={"offset": 0}, content=b"evil").status_code == 404
        for upload_id in ("..", ".", "%2e%2e", "../uploads", "x" * 300, begun["id"].upper() + "/", "%00", "*"):
            answer = another.get(f"{API}/inputs/parts/{upload_id}")
            assert answer.status_code in (307, 400, 404, 405), (upload_id, answer.text)
        done = user.put(path, params={"offset": 0}, content=b"good")
        assert done.json()["file"]["size"] == 4
        for name in ("../evil", "a/../../b", "..", ".", "", "\x00", "/etc/passwd", "x" * 300):
            for url in ("/inputs", "/inputs/parts"):
                answer = another.post(f"{API}{url}", params={"name": name, "size": 1}, content=b"x")
                assert answer.status_code in (400, 422), (url, name, answer.text)
        for folder in (
            "..",
            "../..",
            "/tmp",
            ".parts",
            "x",
            begun["id"] + "/..",
            "00000000-0000-0000-0000-00000000000g",
        ):
            for url in ("/inputs", "/inputs/parts"):
                answer = another.post(f"{API}{url}", params={"name": "x", "size": 1, "folder": folder}, content=b"x")
                assert answer.status_code in (400, 422), (url, folder, answer.text)


def test_nobody_adds_to_the_upload_folder_of_another(site: Site, uploaded: dict[str, Any]) -> None:
    """The folder's name is in each location: a file put beside would be taken for a secondary file."""
    folder = Path(uploaded["location"].removeprefix("file://")).parent.name
    with site.client("another-user") as another:
        for url in ("/inputs", "/inputs/parts"):
            params = {"name": "beside.txt", "size": 1, "folder": folder}
            answer = another.post(f"{API}{url}", params=params, content=b"x")
            assert answer.status_code in (400, 403, 404, 409), (url, answer.text)


def test_outputs_are_for_readers_of_their_dag(site: Site) -> None:
    if site.auth == "simple":
        pytest.skip("SimpleAuthManager has no rights for one Dag")
    outputs = site.server.home / "cwl" / "outputs"
    hidden, shown = outputs / HIDDEN / RUN / "out.txt", outputs / SHOWN / RUN / "out.txt"
    assert hidden.exists(), "the attack needs its target"
    dots = f"../outputs/{HIDDEN}/{RUN}/out.txt"
    through = str(outputs / SHOWN / ".." / HIDDEN / RUN / "out.txt")
    before = site.runs()
    with site.client("one-dag") as one:
        for location in (
            str(hidden),
            hidden.as_uri(),
            dots,
            through,
            f"{shown.parent.as_uri()}/%2e%2e/%2e%2e/{HIDDEN}/{RUN}/out.txt",
        ):
            answer = site.trigger("one-dag", SHOWN, "evil-outputs", {"text": "x", **at(location)})
            assert answer.status_code == 422, (location, answer.text)
            assert MARKS[HIDDEN] not in answer.text
        for folder in (outputs, outputs / HIDDEN, hidden.parent, outputs / SHOWN / ".."):
            answer = site.trigger("one-dag", SHOWN, "evil-outputs", {"text": "x", **folder_at(str(folder))})
            assert answer.status_code == 422, (folder, answer.text)
        seen = one.post(f"{API}/inputs/visible", json={"paths": [str(hidden), str(hidden.parent), dots]}).json()
        assert not any(seen["visible"].values()), seen
        for folder in (str(outputs), str(outputs / HIDDEN), str(hidden.parent)):
            listed = one.get(f"{API}/inputs/browse", params={"path": folder})
            assert listed.status_code in (200, 400, 403, 404)
            assert "out.txt" not in listed.text, folder
            assert not any(entry["name"] == HIDDEN for entry in listed.json().get("entries", [])), folder
        assert site.runs() == before
        good = site.trigger("one-dag", SHOWN, f"good-{uuid.uuid4()}", {"text": "x", **at(str(shown))})
        assert good.status_code == 201, good.text


def test_no_name_of_an_output_leads_out(site: Site) -> None:
    names = (
        "../out.txt",
        f"..%2f..%2f{HIDDEN}%2f{RUN}%2fout.txt",
        "%2fetc%2fpasswd",
        "..%2f..%2f..%2fsecrets.json",
        "%00",
    )
    with site.client("the-user") as user, site.browser("the-user") as browser:
        for name in names:
            answer = user.get(httpx.URL(f"{site.server.url}{API}/workflows/{SHOWN}/runs/{RUN}/files/{name}"))
            assert answer.status_code in (400, 404), (name, answer.text)
            for path in (
                f"/run/preview?dag_id={SHOWN}&run_id={RUN}&path={name}",
                f"/run/outputs?dag_id={SHOWN}&run_id={RUN}&path={name}",
            ):
                answer = browser.get(httpx.URL(f"{site.server.url}{VIEWS}{path}"))
                assert MARKS[HIDDEN] not in answer.text, path
                assert "fernet_key" not in answer.text, path
                assert "root:x:0" not in answer.text, path
            answer = user.get(httpx.URL(f"{site.server.url}{API}/workflows/{SHOWN}/runs/{RUN}/zip?path={name}"))
            assert answer.status_code in (400, 404), (name, answer.text)


def test_a_folder_that_another_run_delivered_to_is_refused(site: Site) -> None:
    """Within the Dag's own folder, too: nothing that is there is written over."""
    first, second = f"one-{uuid.uuid4()}", f"two-{uuid.uuid4()}"
    folder = f"chosen-{uuid.uuid4().hex[:6]}"
    with site.client("the-user") as user:
        assert site.trigger("the-user", SHOWN, first, {"text": "1", "output_folder": folder}).status_code == 201
        assert site.server.wait_for_run(user, SHOWN, first)["state"] == "success"
        for taken in (folder, f"{folder}/inner", f"./{folder}/", RUN, "."):
            answer = site.trigger("the-user", SHOWN, f"{second}-{len(taken)}", {"text": "2", "output_folder": taken})
            if answer.status_code == 201:  # the service need not look at the disk: the run itself must refuse
                assert site.server.wait_for_run(user, SHOWN, f"{second}-{len(taken)}")["state"] == "failed", taken
        kept = user.get(f"{API}/workflows/{SHOWN}/runs/{first}/files/out.txt")
        assert kept.text == "1\n"
        assert user.get(f"{API}/workflows/{SHOWN}/runs/{RUN}/files/out.txt").text == MARKS[SHOWN] + "\n"
