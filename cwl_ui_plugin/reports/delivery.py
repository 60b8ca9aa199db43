"""One report, signed, over HTTP."""

from __future__ import annotations

import json
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime

import httpx

from cwl_ui_plugin.reports import formats
from cwl_ui_plugin.reports.due import Report
from cwl_ui_plugin.reports.errors import NotDelivered, NotSigned, ReportError, Unreachable
from cwl_ui_plugin.reports.payloads import Status
from cwl_ui_plugin.reports.target import ReportTarget, read_target
from cwl_ui_plugin.signing import tokens
from cwl_ui_plugin.signing.algorithms import parse_algorithms
from cwl_ui_plugin.signing.errors import SigningError
from cwl_ui_plugin.variables import REPORT_CONNECTION

log = logging.getLogger(__name__)
SHOWN_CHARACTERS = 300
MAX_ANSWER_BYTES = 64 * 1024
MAX_REDIRECTS = 3
REDIRECTS = (301, 302, 303, 307, 308)
KEEPING_THE_BODY = (307, 308)
BUSY = (429, 502, 503, 504)
_LOCATION = "cwl_location"


@dataclass(frozen=True)
class TestResult:
    """What the receiver answered to a test report; ``status`` is None where it did not answer."""

    __test__ = False  # no test class for pytest

    ok: bool
    status: int | None
    seconds: float
    message: str
    answer: str = ""


class Sender:
    """Posts reports to one receiver over connections that are kept open; for several threads."""

    def __init__(self, target: ReportTarget) -> None:
        self.target = target
        login = httpx.BasicAuth(target.login, target.password or "") if target.login else None
        self._client = httpx.Client(
            auth=login,
            verify=_context(target.verify),
            timeout=target.timeout,
            headers=target.headers,
            follow_redirects=False,
            event_hooks={"response": [_keep_location]},
        )

    def send_text(self, route: str, payload: str) -> int:
        """Deliver one recorded report, given as JSON; return the HTTP status.

        Raises:
            NotSigned: the key can't sign.
            Unreachable: nobody answers, or nobody is answered now.
            NotDelivered: the receiver does not take it.

        """
        route, payload = formats.settled(route, payload, self.target.form)
        return self._post(self.target.url(route), self._body(payload))[0]

    def send(self, route: str, payload: Mapping[str, object]) -> tuple[int, str]:
        """Deliver one report; return the HTTP status and the begin of the answer. Raises as :meth:`send_text`."""
        return self._post(self.target.url(route), self._body(json.dumps(payload)))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _body(self, payload: str) -> bytes:
        if not self.target.private_key:
            return b'{"payload": %s}' % payload.encode()
        try:
            algorithm = parse_algorithms(self.target.algorithm)[0]
            allow_weak, key = self.target.allow_weak, self.target.private_key
            token = tokens.sign(json.loads(payload), key, algorithm, allow_weak=allow_weak)
        except SigningError as error:
            raise NotSigned(f"Reports can't be signed: {error}") from error
        return json.dumps({"payload": token}).encode()

    def _post(self, url: str, body: bytes) -> tuple[int, str]:
        current = url
        for _redirect in range(MAX_REDIRECTS + 1):
            answer, text = self._request(current, body)
            status = answer.status_code
            if 200 <= status < 300:
                return status, text
            if status not in REDIRECTS:
                break
            current = _followed(current, status, answer.extensions.get(_LOCATION, ""))
        kind = Unreachable if status in BUSY else NotDelivered
        message = f"{current} answered {status}"[:SHOWN_CHARACTERS]
        log.info("%s: %s", message, text or "nothing else")
        raise kind(message, status, _retry_after(answer.headers.get("retry-after")), text)

    def _request(self, url: str, body: bytes) -> tuple[httpx.Response, str]:
        headers = {"Content-Type": "application/json"}
        try:
            with self._client.stream("POST", url, content=body, headers=headers) as answer:
                return answer, _begin(answer, self.target.timeout)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = str(error) or type(error).__name__
            raise Unreachable(f"{url} can't be reached: {reason}"[:SHOWN_CHARACTERS]) from error


def send_test_report() -> TestResult:
    """Send a report that is about no run, at once; return what the receiver answered."""
    began = time.monotonic()
    try:
        target = read_target()
        if target is None:
            return TestResult(False, None, 0.0, f"There is no Connection {REPORT_CONNECTION}: save one first.")
        sender = Sender(target)
        try:
            began = time.monotonic()
            status, answer = sender.send(*_test_report(target.form))
        finally:
            sender.close()
    except ReportError as error:
        return TestResult(
            ok=False,
            status=getattr(error, "status", None),
            seconds=round(time.monotonic() - began, 3),
            message=str(error),
            answer=getattr(error, "answer", ""),
        )
    return TestResult(True, status, round(time.monotonic() - began, 3), f"The receiver answered {status}.", answer)


def _test_report(form: str) -> tuple[str, dict[str, object]]:
    """Return the route and the payload of a report that is about no run."""
    now = datetime.now(timezone.utc).isoformat()
    payload: Status = {
        "state": "test",
        "dag_id": "cwl_ui_plugin",
        "run_id": "test",
        "task_id": "test",
        "map_index": -1,
        "try_number": 1,
        "timestamp": now,
    }
    built = formats.build(Report("status", payload), form, report_id=f"test-{now}", sequence=0)
    return built or ("status", {})


def _context(verify: bool | str) -> bool | ssl.SSLContext:
    return verify if isinstance(verify, bool) else ssl.create_default_context(cafile=verify)


def _begin(answer: httpx.Response, seconds: float) -> str:
    """Read an answer to its end, so that its connection serves the next report, but never a huge or an endless one.

    Returns what can be shown of it. The status counts, whatever becomes of the rest.
    """
    deadline, kept = time.monotonic() + seconds, b""
    try:
        for chunk in answer.iter_raw(4096):
            kept += chunk
            if len(kept) > MAX_ANSWER_BYTES or time.monotonic() > deadline:
                break
    except httpx.HTTPError:
        pass
    text = kept[:SHOWN_CHARACTERS].decode("utf-8", "replace")
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def _keep_location(answer: httpx.Response) -> None:
    """Put aside where a redirect leads to: httpx reads it even if it does not follow, and fails as for a bad answer."""
    if answer.status_code in REDIRECTS and "location" in answer.headers:
        answer.extensions[_LOCATION] = answer.headers.pop("location")


def _followed(url: str, status: int, location: str) -> str:
    """Return where a redirect leads to, if it keeps the body, stays on the host and leads elsewhere; else raise."""
    old = httpx.URL(url)
    try:
        new = old.join(location).copy_with(fragment=None)
    except (httpx.InvalidURL, ValueError):
        new = old
    stays = (
        new.host == old.host and (new.port == old.port or new.scheme == "https") and new.scheme in ("https", old.scheme)
    )
    if stays and new != old and status in KEEPING_THE_BODY:
        return str(new)
    shown = f"{url} answered {status}, a redirect to {location or 'nowhere'}"
    raise NotDelivered(
        f"{shown}: it is not followed. Set the Connection to the final address."[:SHOWN_CHARACTERS], status
    )


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a receiver asks for, as a number or as a date."""
    if not value:
        return None
    if value.strip().isdecimal():
        return float(value.strip()[:9])
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
    return max(0.0, (aware - datetime.now(timezone.utc)).total_seconds())
