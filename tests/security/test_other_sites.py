"""Another site in the browser of somebody who is logged in: it can send forms and calls, and must get nothing done."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from support.cast import API, OLD, RUN, SHOWN, VIEWS, Site
from support.matrix import CASES, PAGES, REST, Case

pytestmark = pytest.mark.e2e
EVIL = "https://evil.example.org"
FORMS = [case for case in CASES if case.face == PAGES and case.method == "POST"]
CALLS = [case for case in CASES if case.face == REST and case.method in ("POST", "PUT", "DELETE")]
FOREIGN = (
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "nonsense"},
    {"Origin": "http://127.0.0.1"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1.evil.example.org"},
    {"Origin": "http://{host}@evil.example.org"},
    {"Origin": "http://evil.example.org/{host}"},
)
"""What browsers say of where a call comes from; ``{host}`` is the server's own."""


def address(case: Case) -> str:
    return case.address(SHOWN, RUN)


def test_no_form_is_taken_without_a_token_of_this_session(site: Site) -> None:
    before = site.runs()
    with site.browser() as admin, site.browser("nobody") as nobody:
        stranger = httpx.Client(base_url=site.server.url, cookies={"_token": site.tokens["admin"]}, trust_env=False)
        for case in FORMS:
            for data in ({}, {"csrf_token": ""}, {"csrf_token": "forged"}, {"csrf_token": site.form_token + "x"}):
                answer = admin.post(address(case), data={"run_id": "forged", "job": "text: x", **data})
                assert (answer.status_code, "Traceback" in answer.text) == (400, False), (case, data)
                assert "reload" in answer.text, case
            joined = "&" if "?" in address(case) else "?"
            in_query = admin.post(f"{address(case)}{joined}csrf_token={site.form_token}", data={"run_id": "forged"})
            assert in_query.status_code == 400, case
            as_json = admin.post(address(case), json={"csrf_token": site.form_token})
            assert as_json.status_code == 400, case
            assert stranger.post(address(case), data={"csrf_token": site.form_token}).status_code == 400, case
            assert nobody.post(address(case), data={"csrf_token": site.form_token}).status_code in (400, 401), case
        stranger.close()
    assert site.runs() == before


def test_cookies_stay_on_this_site(site: Site) -> None:
    """Browsers do not send the cookies along: they are Lax or Strict."""
    with site.client("nobody") as client:
        login = client.post("/auth/token", json={"username": "admin", "password": site.server.password})
        assert "samesite=none" not in str(login.headers.get_list("set-cookie")).lower()
    with site.browser() as admin:
        cookies = admin.get(f"{VIEWS}/workflows").headers.get_list("set-cookie")
    for cookie in cookies:
        assert "samesite=none" not in cookie.lower()
        if cookie.startswith("session="):
            assert "httponly" in cookie.lower()
            assert "samesite=lax" in cookie.lower() or "samesite=strict" in cookie.lower()


def test_no_call_with_the_cookie_comes_from_another_site(site: Site) -> None:
    before = site.runs()
    host = httpx.URL(site.server.url).netloc.decode()
    body = {"run_id": "forged", "job": {"text": "x"}}
    with site.browser() as admin:
        for case in CALLS:
            for raw in FOREIGN:
                headers = {name: value.replace("{host}", host) for name, value in raw.items()}
                answer = admin.request(case.method, address(case), json=body, headers=headers)
                assert answer.status_code == 403, (case, headers, answer.text)
                assert "another site" in answer.json()["detail"], (case, headers)
        for headers in FOREIGN[:6]:  # as a form of another site can send it, without a preflight
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
                for path in (f"{API}/workflows/{SHOWN}/runs", f"{OLD}/dags/{SHOWN}/dag_runs"):
                    text = '{"run_id": "forged", "job": {"text": "x"}, "conf": {}}'
                    answer = admin.post(path, content=text, headers={**headers, "Content-Type": kind})
                    assert answer.status_code == 403, (path, headers, kind)
    assert site.runs() == before


@pytest.mark.parametrize("value", ["Bearer garbage", "bearer", "Bearer\tgarbage", "Basic YWRtaW46YWRtaW4=", "Token x"])
def test_a_header_that_is_no_token_does_not_open_the_way_for_the_cookie(site: Site, value: str) -> None:
    """A call from elsewhere is none of the user's own because it brings some Authorization."""
    headers = {"Authorization": value, "Origin": EVIL, "Sec-Fetch-Site": "cross-site"}
    with site.browser() as admin:
        answer = admin.post(f"{API}/workflows/{SHOWN}/runs", json={"job": {"text": "x"}}, headers=headers)
        assert answer.status_code in (401, 403), answer.text
        old = admin.post(f"{OLD}/dags/{SHOWN}/dag_runs", json={"conf": {"job": {"text": "x"}}}, headers=headers)
        assert old.status_code in (401, 403), old.text


def test_a_bad_bearer_token_is_not_made_good_by_a_cookie(site: Site) -> None:
    with site.browser() as admin:
        for path in (f"{API}/workflows", f"{VIEWS}/workflows"):
            answer = admin.get(path, headers={"Authorization": "Bearer a.b.c"})
            assert answer.status_code in (302, 401, 403), path


@pytest.mark.parametrize("origin", [EVIL, "null", "http://localhost", "http://127.0.0.1.nip.io"])
def test_no_other_site_may_read_an_answer(site: Site, origin: str) -> None:
    asked = [
        *(address(case) for case in CASES if case.method == "GET"),
        *{address(case) for case in CASES if case.method != "GET"},
    ]
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    with site.browser() as admin:
        for path in asked:
            answer: Any = admin.options(path, headers={"Origin": origin, **preflight})
            allowed = [name for name in answer.headers if name.startswith("access-control-")]
            assert allowed == [], (path, allowed)
        for path in asked[:12]:
            allowed = [
                name for name in admin.get(path, headers={"Origin": origin}).headers if name.startswith("access-")
            ]
            assert allowed == [], (path, allowed)
