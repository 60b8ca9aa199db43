"""Importing workflows from registries, repositories and addresses, some of which lie."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cwl_ui_client import closure
from support.repositories import commit, git, publish, talking
from support.web import Web, endless, giving, redirecting, web

from cwl_ui_plugin.library.origins import Origin
from cwl_ui_plugin.services.errors import BadRequest, NotAllowed, NotFound, ServiceError, TooLarge, Unavailable
from cwl_ui_plugin.services.importing import imports
from cwl_ui_plugin.services.workflow_models import UploadRights
from cwl_ui_plugin.services.workflows import details, uploads

TOOL = """cwlVersion: v1.2
class: CommandLineTool
baseCommand: echo
inputs: {text: {type: string, inputBinding: {}}}
outputs: {said: {type: stdout}}
stdout: said.txt
"""
WORKFLOW = """cwlVersion: v1.2
class: Workflow
inputs: {text: string}
outputs: {said: {type: File, outputSource: say/said}}
steps: {say: {run: tools/say.cwl, in: {text: text}, out: [said]}}
"""
ALL = UploadRights(may_see=lambda _dag_id: True, may_change=lambda _dag_id: True)
TRS = "/ga4gh/trs/v2/tools/count/versions/1.0"


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, folders: dict[str, Path]) -> Iterator[Web]:
    with web() as running:
        monkeypatch.setenv("AIRFLOW__CWL__FETCH_HOSTS", running.host)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield running


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def register(site: Web, files: Mapping[str, str], main: str, checksums: Mapping[str, str] | None = None) -> str:
    """Have a registry with one tool; return its TRS URI."""
    listed = [
        {
            "path": path,
            "file_type": "PRIMARY_DESCRIPTOR" if path == main else "SECONDARY_DESCRIPTOR",
            "checksum": {"type": "sha256", "checksum": (checksums or {}).get(path, sha256(text))},
        }
        for path, text in files.items()
    ]
    site.put(f"{TRS}/CWL/files", json.dumps([*listed, {"path": "t.json", "file_type": "TEST_FILE"}]).encode())
    for path, text in files.items():
        encoded = path.replace("/", "%2F") if ".." in path or path.startswith("/") else path
        site.put(f"{TRS}/PLAIN_CWL/descriptor/{encoded}", text.encode())
    return f"trs://{site.host}/count/1.0"


def names(found: imports.FetchedWorkflow) -> dict[str, str]:
    with zipfile.ZipFile(found.file.stream) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def refused(error: type[ServiceError], address: str, match: str, **options: Any) -> None:
    with pytest.raises(error, match=match), imports.fetched(address, **options):
        pass


def test_a_workflow_of_a_registry_is_uploaded_with_where_it_came_from(site: Web) -> None:
    address = register(site, {"main.cwl": WORKFLOW, "tools/say.cwl": TOOL}, "main.cwl")
    started = imports.import_workflow(address, user="ada", rights=ALL, dag_id="imported")
    done = uploads.wait_upload(started.id)
    version = details.get_workflow("imported", done.digest).version
    assert version.origin == Origin("trs", f"http://{site.host}/ga4gh/trs/v2/tools/count", "1.0", None, "main.cwl", 2)
    assert version.filename == "count.zip"


def test_files_may_lie_above_the_main_document(site: Web) -> None:
    address = register(site, {"/main.cwl": WORKFLOW, "../tools/say.cwl": TOOL}, "/main.cwl")
    with imports.fetched(address) as found:
        assert found.main == "descriptors/main.cwl"
        assert names(found) == {"descriptors/main.cwl": WORKFLOW, "tools/say.cwl": TOOL}


def test_a_checksum_that_is_wrong_is_told(site: Web) -> None:
    address = register(site, {"main.cwl": TOOL}, "main.cwl", {"main.cwl": "0" * 64})
    refused(BadRequest, address, r"main\.cwl is not what was announced")


def test_a_registry_without_a_list_of_files_gives_the_one_document(site: Web) -> None:
    checksum = [{"type": "sha1", "checksum": hashlib.sha1(TOOL.encode()).hexdigest()}]
    site.put(f"{TRS}/CWL/descriptor", json.dumps({"content": TOOL, "checksum": checksum}).encode())
    with imports.fetched(site.url(TRS)) as found:
        assert names(found) == {"main.cwl": TOOL}
        assert found.origin.verified == 1


def test_a_version_need_not_be_named_where_there_is_one(site: Web) -> None:
    register(site, {"main.cwl": TOOL}, "main.cwl")
    tool = "/ga4gh/trs/v2/tools/count"
    site.put(tool, json.dumps({"versions": [{"id": "1.0"}]}).encode())
    with imports.fetched(f"trs://{site.host}/count") as found:
        assert found.origin.version == "1.0"
    site.put(tool, json.dumps({"versions": [{"id": "1.0"}, {"id": "2.0"}]}).encode())
    refused(BadRequest, f"trs://{site.host}/count", r"Name it: 1\.0, 2\.0")
    site.put(tool, b'{"versions": [{"id": "\\ud800"}]}')
    refused(BadRequest, f"trs://{site.host}/count", "surrogates not allowed")
    site.put(tool, b"{}")
    refused(BadRequest, f"trs://{site.host}/count", "no versions")


@pytest.mark.parametrize(
    ("files", "match"),
    [
        (b"<html>", "something else than JSON"),
        (b"[" * 100_000, "something else than JSON"),
        (b"{}", "no list of files"),
        (b"[]", "0 main documents"),
        (b'[{"file_type": "PRIMARY_DESCRIPTOR"}]', "without a path"),
        (b'[{"path": "\\ud800.cwl", "file_type": "PRIMARY_DESCRIPTOR"}]', "surrogates not allowed"),
        (json.dumps([{"path": "../" * 400 + "a"}, {"path": "b"}]).encode(), "more than 1000 characters"),
        (b'[{"path": "a.cwl", "file_type": "OTHER"}, {"path": "./a.cwl"}]', "two files of one name"),
        (json.dumps([{"path": f"{n}.cwl"} for n in range(5001)]).encode(), "max_unpacked_files"),
    ],
)
def test_registries_that_lie_are_told_of(site: Web, files: bytes, match: str) -> None:
    site.put(f"{TRS}/CWL/files", files)
    refused(BadRequest, f"trs://{site.host}/count/1.0", match)


def test_registries_that_loop_or_never_end_are_left(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    site.pages[f"{TRS}/CWL/files"] = redirecting(f"{TRS}/CWL/files")
    refused(TooLarge, f"trs://{site.host}/count/1.0", "redirects more than")
    site.pages[f"{TRS}/CWL/files"] = endless
    refused(TooLarge, f"trs://{site.host}/count/1.0", "larger than")
    site.pages[f"{TRS}/CWL/files"] = redirecting("http://169.254.169.254/latest")
    refused(NotAllowed, f"trs://{site.host}/count/1.0", "fetch_hosts")
    site.pages[f"{TRS}/CWL/files"] = giving(b"", 503)
    refused(Unavailable, f"trs://{site.host}/count/1.0", "503")
    monkeypatch.setenv("AIRFLOW__CWL__FETCH_TIMEOUT", "0.5")
    site.pages[f"{TRS}/CWL/files"] = site.hang
    with pytest.raises(ServiceError), imports.fetched(f"trs://{site.host}/count/1.0"):
        pass


def test_nothing_is_fetched_where_no_host_is_allowed(site: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CWL__FETCH_HOSTS", "")
    for address in (f"trs://{site.host}/count/1.0", site.url("/r.git"), site.url("/w.zip")):
        refused(NotAllowed, address, r"\[cwl\] fetch_hosts")
    assert site.asked == []


def test_a_document_and_a_zip_are_fetched(site: Web) -> None:
    with imports.fetched(site.put("/say.cwl", TOOL.encode()) + "?token=secret") as found:
        assert (found.file.name, found.file.stream.read()) == ("say.cwl", TOOL.encode())
        assert found.origin == Origin("http", site.url("/say.cwl"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("repo-1/main.cwl", TOOL)
        archive.comment = b"a" * 40
    with imports.fetched(site.put("/archive/v1", packed.getvalue()), path="repo-1/main.cwl") as found:
        assert (found.file.name, found.main, found.origin.commit) == ("v1.zip", "repo-1/main.cwl", "a" * 40)
    refused(BadRequest, site.put("/page", b"<html>"), "no cwlVersion")
    refused(NotFound, site.url("/nothing.cwl"), "404")


def test_a_repository_is_fetched_at_a_commit_with_what_the_document_needs(site: Web, tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    first = commit(folder, {"wf/main.cwl": WORKFLOW.replace("tools/", "../tools/"), "tools/say.cwl": TOOL})
    git(folder, "tag", "v1")
    commit(folder, {"tools/say.cwl": TOOL + "# newer\n", "big.dat": "x"}, {"link": "/etc/passwd"})
    (folder / ".git" / "hooks" / "post-checkout").write_text("#!/bin/sh\ntouch /tmp/never\n")
    url = publish(site, "/repo.git", folder)
    for ref in ("v1", first):
        with imports.fetched(url, ref=ref, path="wf/main.cwl") as found:
            assert names(found).keys() == {"wf/main.cwl", "tools/say.cwl"}
            assert "newer" not in names(found)["tools/say.cwl"]
            assert found.origin == Origin("git", url, ref, first, "wf/main.cwl")
    with imports.fetched(url, path="wf/main.cwl") as found:
        assert "newer" in names(found)["tools/say.cwl"]


def test_nothing_but_the_repository_is_looked_at(site: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def noting(path: Path) -> object:
        read.append(path)
        return json.loads(path.read_text())

    monkeypatch.setattr(closure, "_read", noting)
    (tmp_path / "outside.cwl").write_text(json.dumps({"class": "Directory", "location": "/"}))
    document = {"cwlVersion": "v1.2", "run": str(tmp_path / "outside.cwl"), "$import": "../" * 30 + "etc/passwd"}
    commit(tmp_path / "repo", {"main.cwl": json.dumps(document), os.fsdecode(b"\xff.cwl"): TOOL})
    with imports.fetched(publish(site, "/repo.git", tmp_path / "repo")) as found:
        assert (found.main, names(found).keys()) == ("main.cwl", {"main.cwl"})
    assert [path.name for path in read] == ["main.cwl"]


def test_a_repository_that_talks_without_end_is_left(
    site: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path / "repo", {"main.cwl": TOOL})
    url = publish(site, "/repo.git", tmp_path / "repo")
    site.pages["/repo.git/git-upload-pack"] = talking(tmp_path / "repo")
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UPLOAD_SIZE", "100000")
    refused(TooLarge, url, "max_upload_size")


def test_repositories_that_are_not_there_or_too_large_are_told(
    site: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path / "repo", {"main.cwl": TOOL})
    url = publish(site, "/repo.git", tmp_path / "repo")
    refused(NotFound, url, "nothing", ref="nothing")
    refused(BadRequest, url, "no tag, branch or commit", ref="--upload-pack=touch /tmp/x")
    refused(BadRequest, url, "has no file 'other.cwl'", path="other.cwl")
    refused(NotFound, site.url("/other.git"), "not found")
    site.pages["/moved.git/info/refs"] = redirecting("http://169.254.169.254/info/refs")
    refused(Unavailable, site.url("/moved.git"), "git says")
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UNPACKED_SIZE", "10")
    refused(TooLarge, url, "max_unpacked_size")
    monkeypatch.setenv("AIRFLOW__CWL__MAX_UPLOAD_SIZE", "100000")
    commit(tmp_path / "repo", {"noise": "".join(sha256(str(number)) for number in range(10_000))})
    refused(TooLarge, url, "max_upload_size")
