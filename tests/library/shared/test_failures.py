"""Buckets that are silent, busy, gone, or deny; processes that are killed; answers that are lost; what is hostile."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import tarfile
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest
from support.buckets import Buckets, refusing
from support.killed_requests import in_child, killing, silent
from support.shared_workflows import Machines, add, content_of, facts, follow, new_machines, writes

from cwl_ui_plugin.library import carrying
from cwl_ui_plugin.library.errors import DamagedArchive, LibraryError, StoreAway
from cwl_ui_plugin.library.shared import objects
from cwl_ui_plugin.library.shared.index import Index

MANY = 60
TwoVersions = Callable[[Machines], str]


CHANGES: dict[str, Callable[[Any, str], object]] = {
    "add": lambda store, _digest: add(store, "a", "two"),
    "delete": lambda store, _digest: store.delete("a"),
    "make-current": lambda store, digest: store.make_current("a", digest),
    "approvals": lambda store, _digest: store.set_approvals("a", ["sort"]),
    "remove": lambda store, digest: store.remove_version("a", digest, unused_since=1e12),
    "discard": lambda store, digest: store.discard("a", digest, previous=store.manifest_of("a")),
}


@pytest.fixture(scope="module")
def two_versions(workflows_server: Buckets, tmp_path_factory: pytest.TempPathFactory) -> TwoVersions:
    """``two_versions(machines)`` gives them a workflow of two versions, made once; it returns the one not current."""
    with pytest.MonkeyPatch.context() as patched:
        made = new_machines(workflows_server, tmp_path_factory.mktemp("two-versions"), patched)
        first = add(made.store("one"), "a", "zero")
        add(made.store("one"), "a", "one")
        follow(made.store("two"))
    contents = {name: made.read(name) for name in made.names()}

    def give(machines: Machines) -> str:
        shutil.copytree(made.top, machines.top, dirs_exist_ok=True)
        for name, content in contents.items():
            machines.put(name, content)
        return first.digest

    return give


@pytest.mark.parametrize("doing", ["add", "remove"])
def test_killed_at_any_request_it_is_done_or_not(machines: Machines, two_versions: TwoVersions, doing: str) -> None:
    whole = machines.another("whole")
    digest = two_versions(whole)
    before = facts(whole.store("two"))
    CHANGES[doing](whole.store("two"), digest)
    after, outcomes = facts(whole.store("two")), []
    assert before != after
    at, ending = 0, -signal.SIGKILL
    while ending == -signal.SIGKILL:
        at += 1
        assert at < MANY
        here = machines.another(f"at-{at}")
        two_versions(here)
        child: list[int] = []
        seen: list[str] = []
        here.server.moods[:] = [killing(at, child, seen)]
        ending = in_child(partial(CHANGES[doing], here.store("two"), digest), child)
        here.server.moods.clear()
        for name in ("fresh", "two"):
            follow(here.store(name))
        found = facts(here.store("fresh"))
        assert found == facts(here.store("two")), f"killed at {seen}"
        assert found in (before, after)
        outcomes.append(found == after)
        if found == before:
            CHANGES[doing](here.store("two"), digest)
            assert facts(here.store("two")) == after
    assert (ending, at > 2) == (0, True)
    assert outcomes == sorted(outcomes)
    assert outcomes[-1]


@pytest.mark.parametrize(
    ("doing", "status", "code", "told"),
    [
        *((doing, "403 Forbidden", "AccessDenied", "may not") for doing in CHANGES),
        ("add", "404 Not Found", "NoSuchBucket", "no such bucket"),
        ("add", "503 Slow Down", "SlowDown", "now"),
        ("add", "507 Insufficient Storage", "QuotaExceeded", "no room"),
    ],
)
def test_what_a_bucket_refuses_is_told_and_changes_nothing(
    machines: Machines, two_versions: TwoVersions, doing: str, status: str, code: str, told: str
) -> None:
    digest = two_versions(machines)
    two = machines.store("two")
    before, names = facts(two), machines.names()
    machines.server.moods.append(writes(refusing(status, code=code, message="the secret")))
    with pytest.raises(StoreAway) as failure:
        CHANGES[doing](two, digest)
    assert told in str(failure.value)
    assert "the secret" not in str(failure.value)
    machines.server.moods.clear()
    assert facts(two) == before
    follow(two)
    follow(machines.store("one"))
    assert facts(two) == facts(machines.store("one")) == before
    assert [name for name in machines.names() if name not in names] == []
    CHANGES[doing](two, digest)
    assert facts(two) != before


def test_a_silent_bucket_keeps_nobody_from_what_is_here(
    machines: Machines, two_versions: TwoVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = two_versions(machines)
    two = machines.store("two")
    before = facts(two)
    over = threading.Event()
    machines.server.moods.append(silent(over))
    monkeypatch.setattr(objects, "SECONDS", 0.5)
    monkeypatch.setattr(objects, "_patience", lambda: 0.5)
    os.utime(two.root / ".shared/looked", (0, 0))
    with pytest.raises(StoreAway, match="did not answer"):
        two.refresh()
    assert facts(two) == before
    assert two.pinned("a", digest).digest == digest
    asked = len(machines.server.asked)
    two.freshen()
    with pytest.raises(StoreAway, match="did not answer"):
        two.refresh()
    assert len(machines.server.asked) == asked, "it is left alone for a while"
    with pytest.raises(StoreAway, match="did not answer"):
        add(two, "a", "two")
    over.set()
    machines.server.moods.clear()
    add(two, "a", "again")
    two.refresh()
    assert content_of(two.current("a")) == "again"


@pytest.mark.parametrize("is_refused", [True, False])
def test_an_answer_that_was_lost_is_looked_for(machines: Machines, is_refused: bool) -> None:
    one = machines.store("one")
    add(one, "a", "one")
    left = [1]

    def lose(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] != "PUT" or "index.json" not in environ["PATH_INFO"] or not left[0]:
            return None
        left[0] -= 1
        length = int(environ["CONTENT_LENGTH"])
        machines.put("index.json", environ["wsgi.input"].read(length))
        status = "403 Forbidden" if is_refused else "500 Internal Server Error"
        body = f"<Error><Code>{'AccessDenied' if is_refused else 'InternalError'}</Code></Error>".encode()
        start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    machines.server.moods.append(lose)
    add(one, "a", "two")
    machines.server.moods.clear()
    follow(machines.store("two"))
    assert facts(machines.store("two")) == facts(one)
    assert sorted(one.version_numbers("a").values()) == [1, 2]


def test_a_store_without_conditions_will_do(machines: Machines) -> None:
    def unknown(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        if not {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"} & environ.keys() or environ["REQUEST_METHOD"] != "PUT":
            return None
        body = b"<Error><Code>NotImplemented</Code></Error>"
        start_response("501 Not Implemented", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body]

    machines.server.moods.append(unknown)
    one = machines.store("one")
    add(one, "a", "one")
    add(one, "a", "two")
    follow(machines.store("two"))
    assert facts(machines.store("two")) == facts(one)


def index_with(machines: Machines, change: Callable[[dict[str, Any]], object]) -> None:
    data = json.loads(machines.read("index.json"))
    change(data)
    machines.put("index.json", json.dumps(data).encode())


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data.update(format=2),
        lambda data: data.update(workflows=[]),
        lambda data: data["workflows"].update({"../../x": data["workflows"]["a"]}),
        lambda data: data["workflows"]["a"].update(current="../up"),
        lambda data: data["workflows"]["a"]["versions"].update({"../../up": ["0" * 64, 1]}),
        lambda data: data["workflows"]["a"]["versions"].update({"0" * 32: ["../up", 1]}),
        lambda data: data["workflows"]["a"]["versions"].update({"0" * 32: ["0" * 64, -1]}),
        lambda data: data["workflows"]["a"].update(schedule="../../x"),
        lambda data: data["workflows"]["a"].update(layout="../../x"),
        lambda data: data.update(serial="many"),
        lambda data: data.update(removed=[["a"]]),
    ],
    ids=range(11),
)
def test_a_hostile_index_changes_nothing(
    machines: Machines, two_versions: TwoVersions, damage: Callable[[dict[str, Any]], object]
) -> None:
    two_versions(machines)
    two = machines.store("two")
    before = facts(two)
    index_with(machines, damage)
    with pytest.raises(StoreAway, match=r"index .* can't be read"):
        two.refresh()
    with pytest.raises(StoreAway, match=r"index .* can't be read"):
        add(two, "b", "one")
    assert facts(two) == before


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000], ids=range(5))
def test_an_index_that_is_none_changes_nothing(machines: Machines, two_versions: TwoVersions, content: bytes) -> None:
    two_versions(machines)
    two = machines.store("two")
    before = facts(two)
    machines.put("index.json", content)
    with pytest.raises(StoreAway):
        two.refresh()
    assert facts(two) == before
    with pytest.raises(StoreAway):
        machines.store("new").all_dag_ids()


def test_an_index_without_end_is_not_read(
    machines: Machines, two_versions: TwoVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_versions(machines)
    monkeypatch.setattr(objects, "MAX_INDEX_BYTES", 100)
    with pytest.raises(StoreAway):
        machines.store("new").refresh()


def packed(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def member(name: str, content: bytes = b"x", **facts_: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in facts_.items():
        setattr(info, key, value)
    return info, content


def hostile(digest: str) -> dict[str, bytes]:
    top = f"workflows/a/versions/{digest}"
    told = {"main": "main.cwl", "filename": "a.cwl", "uploaded_by": "me", "uploaded_at": "2026-12-01T00:00:00+00:00"}
    good = [member(f"{top}/version.json", json.dumps(told).encode())]
    return {
        "up": packed(*good, member("workflows/a/../../../up")),
        "absolute": packed(*good, member("/tmp/up")),
        "other": packed(*good, member("workflows/b/versions/x/version.json")),
        "link": packed(*good, member(f"{top}/source", b"", type=tarfile.SYMTYPE, linkname="/etc")),
        "hard-link": packed(*good, member(f"{top}/x", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")),
        "device": packed(*good, member(f"{top}/x", b"", type=tarfile.CHRTYPE)),
        "another": packed(*good, member(f"{top}/source/main.cwl", b"another")),
        "empty": packed(),
        "none": b"none",
    }


@pytest.mark.parametrize("kind", hostile("0" * 32))
def test_a_hostile_archive_is_refused(machines: Machines, kind: str) -> None:
    one, two = machines.store("one"), machines.store("two")
    version = add(one, "a", "one")
    add(one, "b", "one")
    content = hostile(version.digest)[kind]
    sha256 = hashlib.sha256(content).hexdigest()
    machines.put(f"versions/a/{sha256}.tar.gz", content)
    archive = {version.digest: [sha256, len(content)]}
    index_with(machines, lambda data: data["workflows"]["a"]["versions"].update(archive))
    follow(two)
    with pytest.raises(DamagedArchive):
        two.current("a")
    assert content_of(two.current("b")) == "one", "the others have nothing to do with it"
    assert two.manifest()["a"] == version.digest
    assert sorted(path.name for path in machines.top.iterdir()) == ["one", "two"]
    assert not list(two.uploads.iterdir())
    follow(one)
    assert content_of(one.current("a")) == "one", "what is here stays"


@pytest.mark.parametrize("damage", [lambda content: content[:-1], lambda content: content + b"x", lambda _content: b""])
def test_an_archive_that_is_another_is_refused(machines: Machines, damage: Callable[[bytes], bytes]) -> None:
    one, two = machines.store("one"), machines.store("two")
    add(one, "a", "one")
    (name,) = [name for name in machines.names() if name.startswith("versions/")]
    good = machines.read(name)
    machines.put(name, damage(good))
    follow(two)
    with pytest.raises(LibraryError):
        two.current("a")
    machines.put(name, good)
    objects._failed.clear()
    assert content_of(two.current("a")) == "one"


def test_what_unpacks_to_too_much_is_refused(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = machines.store("one"), machines.store("two")
    add(one, "a", "one")
    monkeypatch.setattr(carrying, "MAX_FILES", 1)
    with pytest.raises(DamagedArchive):
        two.current("a")


def test_a_choice_or_a_manifest_that_is_another_is_not_taken(machines: Machines) -> None:
    one = machines.store("one")
    add(one, "a", "one")
    one.set_approvals("a", ["sort"])
    name = one.keep_manifest(one.manifest())
    for key in [found for found in machines.names() if found.startswith(("approvals/", "manifests/"))]:
        machines.put(key, b"[]")
    two = machines.store("two")
    with pytest.raises(LibraryError, match="choose them anew"):
        two.approvals("a").current()
    with pytest.raises(LibraryError):
        two.kept_manifest(name)


def test_a_login_that_may_only_read_follows(machines: Machines, two_versions: TwoVersions) -> None:
    two_versions(machines)
    machines.server.moods.append(writes(refusing("403 Forbidden", code="AccessDenied")))
    reader = machines.store("reader")
    follow(reader)
    machines.server.moods.clear()
    assert facts(reader) == facts(machines.store("one"))


def test_no_connection_is_told(machines: Machines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{machines.connection.upper()}")
    with pytest.raises(StoreAway, match=r"\[cwl\] workflows_storage"):
        machines.store("one").refresh()


def test_a_bucket_that_is_not_there_is_told(machines: Machines) -> None:
    from cwl_ui_plugin.fetching.storage_roots import StorageRoot
    from cwl_ui_plugin.library.shared.objects import Bucket
    from cwl_ui_plugin.library.shared.store import SharedStore

    root = StorageRoot.parse(f"s3://{machines.connection}@no-such-bucket/x", "[cwl] workflows_storage")
    with pytest.raises(StoreAway, match="no such bucket"):
        SharedStore(machines.top / "one", Bucket(root)).refresh()


def test_new_indexes_are_of_a_bucket_of_their_own() -> None:
    one, two = Index.new(), Index.new()
    assert not one.is_later_than(two)
    assert Index.from_json(one.to_json().encode()) == one
