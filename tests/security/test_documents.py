"""Hostile uploads: archives, names, and documents that reach for files, for the network, or for the server's memory."""

from __future__ import annotations

import io
import json
import stat
import threading
import warnings
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.cast import API, SHOWN, VIEWS, Site

pytestmark = [pytest.mark.e2e, pytest.mark.again("with the other auth manager", variant="simple")]
TOOL = """cwlVersion: v1.2
class: CommandLineTool
baseCommand: [echo, evil]
inputs: {}
outputs: {}
"""
CANARY = "canary-of-the-machine-77b1"
Member = tuple[str | zipfile.ZipInfo, bytes]


@pytest.fixture(autouse=True)
def once(site: Site) -> None:
    """What a document is made of is looked at before anybody's rights: one auth manager is enough."""
    if site.auth != "simple":
        pytest.skip("the same under each auth manager")


def archive(*members: Member, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as made:
        warnings.simplefilter("ignore")  # a name twice
        for name, content in members:
            made.writestr(name, content)
    return buffer.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def with_stated_size(size: int) -> bytes:
    """A zip whose list of files says that its only file is small."""
    packed = bytearray(archive(("evil.cwl", b"x" * 400_000_000)))
    at = packed.rindex(b"PK\x01\x02") + 24
    packed[at : at + 4] = size.to_bytes(4, "little")
    return bytes(packed)


def overlapping() -> bytes:
    """Many entries that share the bytes of one file."""
    packed = archive(*((f"f{number}.cwl", b"x" * 200_000) for number in range(2)))
    directory = packed.index(b"PK\x01\x02")
    first = packed[directory : packed.index(b"PK\x01\x02", directory + 4)]
    entries = b"".join(first.replace(b"f0.cwl", f"{number:02x}.cwl".encode().rjust(6, b"a")) for number in range(200))
    end = packed[packed.index(b"PK\x05\x06") :]
    counts = (200).to_bytes(2, "little") * 2
    end = end[:8] + counts + len(entries).to_bytes(4, "little") + directory.to_bytes(4, "little") + end[20:]
    return packed[:directory] + entries + end


GOOD: Member = ("main.cwl", TOOL.encode())
ZIPS: dict[str, Callable[[], bytes]] = {
    "dots": lambda: archive(GOOD, ("../../../evil.cwl", b"x")),
    "dots inside": lambda: archive(GOOD, ("a/../../evil.cwl", b"x")),
    "absolute": lambda: archive(GOOD, ("/tmp/evil.cwl", b"x")),
    "nothing but dots": lambda: archive(GOOD, ("..", b"x")),
    "link": lambda: archive(GOOD, (special("evil.txt", stat.S_IFLNK | 0o777), b"/etc/passwd")),
    "link to a folder": lambda: archive(
        GOOD, (special("d", stat.S_IFLNK | 0o777), b"/tmp"), ("d/evil.cwl", b"x")
    ),
    "fifo": lambda: archive(GOOD, (special("evil", stat.S_IFIFO | 0o777), b"")),
    "device": lambda: archive(GOOD, (special("evil", stat.S_IFCHR | 0o777), b"")),
    "socket": lambda: archive(GOOD, (special("evil", stat.S_IFSOCK | 0o777), b"")),
    "the same name twice": lambda: archive(GOOD, GOOD),
    "a file that is a folder, too": lambda: archive(GOOD, ("a", b"x"), ("a/b.cwl", b"x")),
    "dot names of one file": lambda: archive(GOOD, ("./main.cwl", b"x")),
    "bomb": lambda: archive(GOOD, ("bomb", b"\0" * 300_000_000)),
    "bomb that states another size": lambda: with_stated_size(1000),
    "bomb of overlaps": overlapping,
    "too many files": lambda: archive(GOOD, *((f"n/{number}", b"") for number in range(5001))),
    "100,000 names": lambda: archive(GOOD, *((str(number), b"") for number in range(100_000))),
    "a name of a megabyte": lambda: archive(GOOD, ("x" * 60_000, b"")),
    "a path of 1000 folders": lambda: archive(GOOD, ("a/" * 1000 + "b" * 300, b"x")),
    "cut": lambda: archive(GOOD)[:-30],
    "nothing": lambda: archive(),
    "no zip": lambda: b"PK\x03\x04" + b"\xff" * 500,
    "a zip in a zip": lambda: archive(("inner.zip", archive(GOOD))),
}  # fmt: skip
NAMES = (
    "../evil.cwl",
    "/tmp/evil.cwl",
    "a/../../evil.cwl",
    "..",
    ".",
    "",
    "/",
    "evil\x00.cwl",
    "a/b/../../../evil.cwl",
)
DAG_IDS = (
    *("../evil", "evil/..", "a/b", ".", "..", "", " ", "-", ".hidden", "evil\x00", "evil\n", "x" * 300),
    *("<script>", "evil?x", "evil#x", "clean_dag_run", "evil%2f..", "\u0435vil\u202e", "{{ 7*7 }}", "plain", "greet"),
)


def upload(client: httpx.Client, content: bytes | str, name: str = "evil.zip", **fields: str) -> httpx.Response:
    data = {"dag_id": "evil", **fields}
    return client.post(f"{API}/workflows", files={"files": (name, content)}, data=data)


def dags(site: Site) -> set[str]:
    with site.client() as client:
        return {dag["dag_id"] for dag in client.get("/api/v2/dags", params={"limit": 100}).json()["dags"]}


def refused(name: str, answer: httpx.Response, *statuses: int) -> list[str]:
    """Say what is wrong with the refusal of ``name``: it says what, where, and what to do."""
    wrong = []
    if answer.status_code not in (statuses or (400, 409, 413, 422)):
        wrong.append(f"{name}: {answer.status_code} {answer.text[:300]}")
    elif not answer.json()["detail"]:
        wrong.append(f"{name}: without a word")
    if "Traceback" in answer.text or CANARY in answer.text or "root:x:0" in answer.text:
        wrong.append(f"{name}: shows {answer.text[:300]}")
    return wrong


def leftovers(site: Site) -> set[str]:
    """Return what lies about in the store besides its workflows."""
    folder = site.server.home / "cwl" / "workflows"
    return {str(path.relative_to(folder)) for path in folder.rglob("*evil*")}


def test_no_archive_gets_out_of_its_folder_or_grows_without_bound(site: Site) -> None:
    before = dags(site)
    with site.client() as admin, ThreadPoolExecutor(3) as pool:
        answers = pool.map(lambda item: (item[0], upload(admin, item[1]())), ZIPS.items())
        wrong = [line for name, answer in answers for line in refused(name, answer)]
        assert wrong == []
        assert admin.get(f"{API}/workflows").status_code == 200
    assert dags(site) == before
    assert leftovers(site) == set()
    assert not Path("/tmp/evil.cwl").exists()


def test_names_that_differ_in_case_are_different_files(site: Site) -> None:
    with site.client() as admin:
        upper = ("MAIN.cwl", TOOL.replace("evil", "upper").encode())
        answer = upload(admin, archive(GOOD, upper), main="main.cwl", dag_id="twins")
        assert answer.status_code == 201, answer.text
        assert "upper" not in admin.get(f"{API}/workflows/twins/source").text
        assert admin.delete(f"{API}/workflows/twins").status_code == 204


def test_no_name_of_a_file_gets_out(site: Site) -> None:
    wrong = []
    with site.client() as admin:
        for name in NAMES:
            wrong += refused(repr(name), upload(admin, TOOL, name, main="../../etc/passwd"))
        for main in ("../../../../etc/passwd", "/etc/passwd", "x.cwl#../..", "x.cwl/..", "\x00", "no.cwl"):
            wrong += refused(repr(main), upload(admin, TOOL, "x.cwl", main=main))
    assert wrong == []
    assert leftovers(site) == set()


def test_no_dag_id_is_more_than_a_name(site: Site) -> None:
    wrong, before = [], dags(site)
    with site.client() as admin:
        for dag_id in DAG_IDS:
            if not dag_id.strip():
                continue  # an empty field is none: the name comes from the file
            wrong += refused(repr(dag_id), upload(admin, TOOL, "x.cwl", dag_id=dag_id))
            for path in ("", "/source", "/runs/x", "/runs/x/files/y"):
                address = f"{API}/workflows/{httpx.QueryParams({'x': dag_id})!s}".replace("x=", "") + path
                answer = admin.get(address)
                if answer.status_code not in (200, 400, 404, 405) or "Traceback" in answer.text:
                    wrong.append(f"{address}: {answer.status_code} {answer.text[:200]}")
    assert wrong == []
    assert dags(site) == before


class Ear:
    """A server on this machine that must not be asked for anything."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        ear = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                ear.heard.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(TOOL.encode())

            do_HEAD = do_POST = do_GET

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def ear() -> Iterator[Ear]:
    made = Ear()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    """A file of the machine that every user of the machine may read."""
    path = tmp_path / "canary.cwl"
    path.write_text(f"{TOOL}doc: {CANARY}\n")
    return path


def reaching(target: str) -> dict[str, str]:
    """Documents that refer to ``target`` in every way that CWL has."""
    step = "cwlVersion: v1.2\nclass: Workflow\ninputs: {}\noutputs: {}\nsteps:\n  one: {in: {}, out: [], run: %s}\n"
    javascript = "requirements: {InlineJavascriptRequirement: {expressionLib: [{$include: %s}]}}\n"
    default = json.dumps({"class": "File", "location": target})
    types = "requirements: {SchemaDefRequirement: {types: [{$import: %s}]}}\n"
    return {
        "run": step % json.dumps(target),
        "run of an import": step % json.dumps({"$import": target}),
        "$include": TOOL + javascript % json.dumps(target),
        "$import": TOOL + types % json.dumps(target),
        "$import of everything": f"$import: {json.dumps(target)}\n",
        "doc": TOOL + f"doc: {{$include: {json.dumps(target)}}}\n",
        "$schemas": TOOL + f"$schemas: [{json.dumps(target)}]\n$namespaces: {{edam: 'http://edamontology.org/'}}\n",
        "$graph of an import": f"cwlVersion: v1.2\n$graph: [{{$import: {json.dumps(target)}}}]\n",
        "$mixin": f"cwlVersion: v1.2\n$mixin: {json.dumps(target)}\n",
        "base": f"$base: {json.dumps(target)}\n" + step % json.dumps("other.cwl"),
        "default of an input": TOOL.replace("inputs: {}", f"inputs: {{f: {{type: File, default: {default}}}}}"),
    }  # fmt: skip


def test_no_document_reads_the_machine_or_the_network(site: Site, ear: Ear, canary: Path) -> None:
    targets = {
        "file": canary.as_uri(),
        "path": str(canary),
        "dots": f"../../../../../../../../..{canary}",
        "network": f"{ear.url}/x.cwl",
    }
    asked = [
        (f"{way} of {kind}", document)
        for kind, target in targets.items()
        for way, document in reaching(target).items()
        if kind in ("file", "network") or way in ("run", "$include")
    ]
    wrong: list[str] = []
    with site.client() as admin, ThreadPoolExecutor(4) as pool:

        def result(item: tuple[int, tuple[str, str]]) -> list[str]:
            number, (name, document) = item
            dag_id = f"evil-{number}"
            answer = upload(admin, document, "evil.cwl", dag_id=dag_id)
            if answer.status_code != 201:
                return refused(name, answer)
            texts = [answer.text, admin.get(f"{API}/workflows/{dag_id}").text]
            texts += [admin.get(f"{VIEWS}/workflows/{dag_id}{path}").text for path in ("", "/graph", "/download")]
            admin.delete(f"{API}/workflows/{dag_id}")
            return [f"{name}: shows the file" for text in texts if CANARY in text]

        wrong = [line for found in pool.map(result, enumerate(asked)) for line in found]
    assert wrong == []
    assert ear.heard == []


def laughs(levels: int = 12) -> str:
    lines = ["a0: &a0 [" + ", ".join(['"ha"'] * 10) + "]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, levels)]
    return "\n".join(lines)


def hostile_yaml() -> dict[str, str]:
    return {
        "billion laughs": f"{TOOL}{laughs()}\n",
        "billion laughs in doc": TOOL + laughs() + "\ndoc: *a11\n",
        "merge keys": TOOL + "b: &b {x: 1}\n" + "\n".join(f"m{n}: &m{n} {{<<: *b}}" for n in range(3)) + "\n",
        "itself": TOOL + "hints: &h [*h]\n",
        "python tag": TOOL + "doc: !!python/object/apply:os.system ['touch /tmp/evil-yaml']\n",
        "python name": TOOL + "doc: !!python/name:os.system\n",
        "unknown tag": TOOL + "doc: !evil {a: 1}\n",
        "binary": TOOL + "doc: !!binary aGVsbG8=\n",
        "set": TOOL + "doc: !!set {a, b}\n",
        "date": TOOL + "doc: 2026-01-01\n",
        "deep": TOOL + "doc: " + "[" * 20_000 + "]" * 20_000 + "\n",
        "deep mapping": TOOL + "doc: " + "{a: " * 5_000 + "1" + "}" * 5_000 + "\n",
        "10 MB": TOOL + 'doc: "' + "x" * 10_000_000 + '"\n',
        "many keys": "".join(f"k{n}: 1\n" for n in range(20_000)),
        "a key twice": TOOL + "baseCommand: [rm]\n",
        "two documents": f"{TOOL}---\n{TOOL}",
        "null bytes": TOOL + "doc: a\0b\n",
        "no UTF-8": TOOL,
        "a list": "- 1\n- 2\n",
        "numbers": TOOL + "doc: 1e999999\n",
        "a huge integer": TOOL + "doc: " + "9" * 100_000 + "\n",
        "infinity": TOOL + "doc: .inf\n",
        "surrogate": TOOL + 'doc: "\\ud800"\n',
        "JSON, deep": '{"a":' * 50_000,
        "no class": "cwlVersion: v1.2\n",
        "a class of Python": "cwlVersion: v1.2\nclass: __import__('os').system\n",
        "an id that leads out": TOOL + "id: ../../../../tmp/evil\n",
        "an id of the network": TOOL + "id: http://127.0.0.1:9/evil\n",
    }


def test_no_yaml_takes_the_server_down(site: Site) -> None:
    """Each is refused, or taken for a workflow that says nothing evil; the server answers all the time."""
    with site.client() as admin, ThreadPoolExecutor(3) as pool:

        def result(item: tuple[str, str]) -> list[str]:
            name, document = item
            content = document.encode() if name != "no UTF-8" else document.encode("utf-16")
            dag_id = "yaml-" + "".join(letter for letter in name if letter.isalnum())
            answer = upload(admin, content, "evil.cwl", dag_id=dag_id)
            if answer.status_code != 201:
                return refused(name, answer)
            page = admin.get(f"{VIEWS}/workflows/{dag_id}")
            admin.delete(f"{API}/workflows/{dag_id}")
            return [] if page.status_code == 200 else [f"{name}: its page answers {page.status_code}"]

        assert [line for found in pool.map(result, hostile_yaml().items()) for line in found] == []
        assert admin.get(f"{API}/health").json()["ready"]
    assert not Path("/tmp/evil-yaml").exists()


def test_no_yaml_of_a_job_takes_the_server_down(site: Site) -> None:
    jobs = {name: text.replace(TOOL, "number: 1\n") for name, text in hostile_yaml().items()}
    before = site.runs()
    wrong = []
    with site.browser("the-user") as user:
        for name, text in jobs.items():
            for path in (f"/workflows/{SHOWN}/run", f"/workflows/{SHOWN}/run/convert"):
                answer = site.post_form(user, path, {"run_id": "evil-yaml", "job": text, "source": "text"})
                is_harmless = path.endswith("convert") and answer.status_code == 200
                if not is_harmless and answer.status_code not in (400, 413, 422):
                    wrong.append(f"{name}: {path}: {answer.status_code}")
                if "Traceback" in answer.text:
                    wrong.append(f"{name}: a traceback")
    assert site.runs() == before
    assert wrong == []
