"""Who may call what: every route, by everybody, under both auth managers, as docs/security.md promises it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from support.cast import HIDDEN, MARKS, MISSING, READ, RUN, SHOWN, VIEWS, Actor, Site
from support.matrix import CASES, PAGES, PREFIXES, Case, page_routes, rest_routes

ROOT = Path(__file__).resolve().parents[2]
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND")
AT_ONCE = 8
WORDS = {"detail", "message", "msg"}
"""What a refusal says why in: in the REST API, in TRS, in WES."""
OUTSIDE = (
    *("../__init__.py", "..%2f__init__.py", "%2e%2e/setup.cfg", "....//x", "/etc/passwd", "%2fetc%2fpasswd"),
    *("..%5c..%5csetup.cfg", "vendor/..%2f..%2fsetup.cfg", "vendor", "%00", ""),
)


def test_every_route_is_in_the_matrix(flask_app: Any) -> None:
    known = {(case.face, case.method, case.route) for case in CASES}
    there = {*rest_routes(), *page_routes(flask_app)}
    assert len(known) == len(CASES), "a route is in the matrix twice"
    assert there - known == set(), "new routes: say in tests/support/matrix.py which right each needs"
    assert known - there == set(), "routes that are no more: take them out of tests/support/matrix.py"


@dataclass(frozen=True)
class Call:
    """A case by an actor on a Dag."""

    case: Case
    actor: Actor
    dag_id: str

    def __str__(self) -> str:
        return f"{self.actor.name}: {self.case.method} {self.case.address(self.dag_id, RUN)}"

    @property
    def is_allowed(self) -> bool:
        """Whether it is; what a Dag's reader may not, one who can't even read it may not either."""
        dag_id = self.dag_id if self.case.is_of_dag else None
        if self.case.is_of_dag and self.actor.only not in (None, dag_id):
            return self.case.right == "open"
        return self.actor.may(self.case.right, dag_id)


def calls(site: Site) -> Iterator[Call]:
    for case in CASES:
        for actor in site.actors:
            for dag_id in (SHOWN, HIDDEN) if case.is_of_dag else (SHOWN,):
                yield Call(case, actor, dag_id)


def answered(site: Site, clients: dict[tuple[str, str], httpx.Client], call: Call) -> httpx.Response:
    dag_id = MISSING if call.case.missing and call.is_allowed else call.dag_id
    client = clients[(call.case.face, call.actor.name)]
    address = call.case.address(dag_id, RUN)
    if call.case.face == PAGES and call.case.method == "POST":
        return client.post(address, data={"csrf_token": site.form_token})
    return client.request(call.case.method, address, json=call.case.json)


def complaints(call: Call, answer: httpx.Response) -> Iterator[str]:
    """Say what is wrong with an answer."""
    text = answer.text if call.case.method != "HEAD" else ""
    if answer.status_code >= 500 or "Traceback (most" in text:
        yield f"{call}: {answer.status_code} {text[:300]}"
    if not call.actor.may(READ, HIDDEN) and MARKS[HIDDEN] in text:
        yield f"{call}: shows what is in the hidden Dag"
    is_through = answer.status_code not in (401, 403) and not _is_sent_to_login(answer)
    if call.is_allowed and not is_through:
        yield f"{call}: {answer.status_code}, but is allowed: {text[-300:]}"
    if not call.is_allowed:
        yield from _bad_refusal(call, answer)


def _bad_refusal(call: Call, answer: httpx.Response) -> Iterator[str]:
    if call.actor.name == "nobody":
        if not (answer.status_code == 401 or (call.case.face == PAGES and _is_sent_to_login(answer))):
            yield f"{call}: {answer.status_code}, but nobody is logged in"
    elif answer.status_code not in (403, 404):
        yield f"{call}: {answer.status_code}, but is not allowed"
    elif call.case.face != PAGES and call.case.method != "HEAD" and not WORDS & set(answer.json()):
        yield f"{call}: refused without a word: {answer.text[:200]}"
    elif call.case.face == PAGES and "<h1" not in answer.text:
        yield f"{call}: refused without a page: {answer.text[:200]}"


def _is_sent_to_login(answer: httpx.Response) -> bool:
    return answer.status_code in (302, 307) and "/login" in urlsplit(answer.headers["location"]).path


def open_clients(site: Site) -> dict[tuple[str, str], httpx.Client]:
    """Return clients by face and name of the actor: pages get the cookie, APIs the bearer token."""
    return {
        (face, actor.name): (site.browser if face == PAGES else site.client)(actor.name)
        for face in PREFIXES
        for actor in site.actors
    }


def side_by_side(work: Any, items: Iterable[Any]) -> list[Any]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(work, items))


@pytest.mark.e2e
def test_everybody_gets_as_far_as_documented(site: Site) -> None:
    clients = open_clients(site)
    asked = list(calls(site))
    assert len(asked) > 500
    before = {dag_id: site.runs(dag_id) for dag_id in MARKS}

    def found(call: Call) -> list[str]:
        return list(complaints(call, answered(site, clients, call)))

    wrong = [complaint for found_ones in side_by_side(found, asked) for complaint in found_ones]
    assert wrong == []
    assert {dag_id: site.runs(dag_id) for dag_id in MARKS} == before
    for client in clients.values():
        client.close()


@pytest.mark.e2e
@pytest.mark.again("with the other auth manager", variant="simple")
def test_a_route_has_no_other_methods(site: Site) -> None:
    """What is not in the matrix is refused; HEAD of a page is its GET."""
    known = {(case.face, case.route): {one.method for one in CASES if one.route == case.route} for case in CASES}
    cases = {(case.face, case.route): case for case in CASES}
    clients = open_clients(site)
    asked = [
        (case, method, name)
        for key, case in cases.items()
        for method in METHODS
        for name in ("nobody", "the-viewer", "admin")
        if method not in known[key] and not (method == "HEAD" and "GET" in known[key])
    ]

    def status(item: tuple[Case, str, str]) -> str | None:
        case, method, name = item
        answer = clients[(case.face, name)].request(method, case.address(SHOWN, RUN))
        # pages send those who are not logged in to the login before they look at the method
        good = answer.status_code in (400, 401, 403, 404, 405) or _is_sent_to_login(answer)
        return None if good else f"{name}: {method} {case.address(SHOWN, RUN)}: {answer.status_code}"

    assert [found for found in side_by_side(status, asked) if found] == []


@pytest.mark.e2e
def test_lists_have_only_what_one_may_read(site: Site) -> None:
    if site.auth != "fab":
        pytest.skip("SimpleAuthManager has no rights for one Dag")
    paths = ("/cwl/api/v1/workflows", "/cwl/api/v1/runs", f"{VIEWS}/workflows", f"{VIEWS}/runs", f"{VIEWS}/settings")
    searches = ("?search=hidden", "?dag_id=hidden", "?text=first", "?sort=-by")
    for name, expected in (("one-dag", {SHOWN}), ("the-public", set()), ("the-user", {SHOWN, HIDDEN})):
        with site.client(name) as client:
            for path in paths[:2]:
                listed = next(iter(value for value in client.get(path).json().values() if isinstance(value, list)))
                assert {item["dag_id"] for item in listed} & set(MARKS) == expected, (name, path)
            for path in paths:
                for search in searches:
                    text = client.get(f"{path}{search}").text
                    if HIDDEN not in expected:
                        assert f"workflows/{HIDDEN}" not in text, (name, path, search)
                        assert MARKS[HIDDEN] not in text, (name, path, search)


@pytest.mark.e2e
def test_static_files_need_no_login_and_are_all_there_is(site: Site) -> None:
    files = [path for path in (ROOT / "static").rglob("*") if path.is_file() and path.suffix in (".js", ".css", ".svg")]
    assert len(files) > 20
    with site.client("nobody") as client:
        for path in files:
            answer = client.get(f"{VIEWS}/static/{path.relative_to(ROOT / 'static')}")
            assert answer.status_code == 200, path
            assert answer.content == path.read_bytes(), path
        for name in OUTSIDE:
            answer = client.get(httpx.URL(site.server.url + f"{VIEWS}/static/{name}"))
            assert answer.status_code in (302, 307, 308, 401, 404), name
            assert "root:" not in answer.text, name
            assert "options" not in answer.text, name
