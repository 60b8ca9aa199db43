"""One report, signed, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx

from cwl_ui_plugin import config
from cwl_ui_plugin.reports.errors import NotDelivered, NotSigned
from cwl_ui_plugin.reports.target import ReportTarget
from cwl_ui_plugin.signing import tokens
from cwl_ui_plugin.signing.algorithms import parse_algorithms
from cwl_ui_plugin.signing.errors import SigningError

SHOWN_CHARACTERS = 300
MOST_ANSWER_BYTES = 64 * 1024


class Sender:
    """Posts reports to one receiver over connections that are kept open."""

    def __init__(self, target: ReportTarget) -> None:
        self.target = target
        login = httpx.BasicAuth(target.login, target.password or "") if target.login else None
        self._client = httpx.Client(
            auth=login,
            verify=target.verify,
            timeout=target.timeout,
            headers=target.headers,
            follow_redirects=False,
        )

    def send(self, route: str, payload: dict[str, Any]) -> int:
        """Deliver one report; return the HTTP status.

        Raises:
            NotSigned: the key can't sign.
            NotDelivered: no answer, or another one than 2xx.

        """
        body = {"payload": self._signed(payload)}
        url = self.target.url(route)
        try:
            with self._client.stream("POST", url, json=body) as answer:
                status = answer.status_code
                _read_some(answer)
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            reason = str(error) or type(error).__name__
            raise NotDelivered(f"{url} can't be reached: {reason}"[:SHOWN_CHARACTERS]) from error
        if not 200 <= status < 300:
            raise NotDelivered(f"{url} answered {status}.")
        return status

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _signed(self, payload: dict[str, Any]) -> Any:
        if not self.target.private_key:
            return payload
        try:
            algorithm = parse_algorithms(self.target.algorithm)[0]
            return tokens.sign(payload, self.target.private_key, algorithm, allow_weak=config.flag("allow_weak_keys"))
        except SigningError as error:
            raise NotSigned(f"Reports can't be signed: {error}") from error


def _read_some(answer: httpx.Response) -> None:
    """Read an answer to its end, so that its connection serves the next report; but never a huge one."""
    read = 0
    for chunk in answer.iter_raw():
        read += len(chunk)
        if read > MOST_ANSWER_BYTES:
            return
