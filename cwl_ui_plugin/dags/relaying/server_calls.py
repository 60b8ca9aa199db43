"""Calls to the API server in the name of a task: with its execution token, which stays in memory and is renewed."""

from __future__ import annotations

import hashlib
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import urlsplit, urlunsplit

import httpx

from cwl_ui_plugin import addresses
from cwl_ui_plugin.dags.relaying.errors import Away, Refused

REFRESHED = "Refreshed-API-Token"
TIMEOUT = httpx.Timeout(15.0, connect=5.0)
_MAY_PASS = (408, 421, 425, 429)
_SHOWN = 500


@dataclass(frozen=True)
class Certificates:
    """How the API server is believed, as ``[api]`` says for Airflow's own workers; texts are paths."""

    ssl_cert: str = ""
    ssl_ca_file: str = ""
    client_ssl_cert: str = ""
    client_ssl_key: str = ""

    def context(self) -> ssl.SSLContext:
        """Return what connections are made with."""
        made = ssl.create_default_context(cafile=self.ssl_ca_file or None)
        made.load_default_certs()
        if self.ssl_cert:
            made.load_verify_locations(self.ssl_cert)
        if self.client_ssl_cert and self.client_ssl_key:
            made.load_cert_chain(self.client_ssl_cert, self.client_ssl_key)
        return made


def workers_address(execution_api: str) -> str:
    """Return the address of the plugin's API for workers, from that of Airflow's API for tasks beside it."""
    parts = urlsplit(execution_api)
    prefix = parts.path.rstrip("/").rpartition("/")[0]
    return urlunsplit((parts.scheme, parts.netloc, prefix + addresses.WORKERS, "", ""))


@dataclass
class ServerCalls:
    """Calls for one task. Safe to use from many threads."""

    client: httpx.Client
    base: str
    token: str = field(repr=False)
    answered_at: float = 0.0
    """When it was answered last, by the monotonic clock: a token is renewed by answers, shortly before its end."""
    accepted_at: float = 0.0
    """When the server has done last what was asked."""

    def call(self, method: str, path: str, **options: Any) -> Any:
        """Return what is answered, as JSON; None where it is nothing.

        Raises:
            Away: nothing is answered, or that the server can't now.
            Refused: the server says no.

        """
        try:
            answer = self.client.request(method, self.base + path, headers=self._headers(), **options)
        except httpx.HTTPError as error:
            raise Away(f"{self.base} can't be reached: {type(error).__name__}") from None
        self._look_at(answer)
        try:
            return answer.json() if answer.content else None
        except ValueError:
            raise Away(f"{self.base} answers with something else than JSON") from None

    def fetch(self, path: str, target: BinaryIO, most: int, **options: Any) -> None:
        """Write what is answered, if its SHA-256 is what the answer says.

        Raises:
            Away: see :meth:`call`; also where it is cut off, or damaged.
            Refused: see :meth:`call`; also where it has more than ``most`` bytes.

        """
        digest, size = hashlib.sha256(), 0
        try:
            with self.client.stream("GET", self.base + path, headers=self._headers(), **options) as answer:
                if answer.status_code != httpx.codes.OK:
                    answer.read()
                self._look_at(answer)
                for part in answer.iter_bytes():
                    size += len(part)
                    if size > most:
                        raise Refused(413, f"the document has more than {most} bytes")
                    digest.update(part)
                    target.write(part)
        except httpx.HTTPError as error:
            raise Away(f"{self.base} can't be reached: {type(error).__name__}") from None
        if digest.hexdigest() != answer.headers.get("X-Content-SHA256"):
            raise Away(f"What {self.base} has sent is damaged")

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def _look_at(self, answer: httpx.Response) -> None:
        self.answered_at = time.monotonic()
        if fresh := answer.headers.get(REFRESHED):
            self.token = fresh
        if answer.is_success:
            self.accepted_at = self.answered_at
            return
        if answer.status_code >= 500 or answer.status_code in _MAY_PASS or answer.is_redirect:
            raise Away(f"{self.base} answers {answer.status_code}")
        try:
            said = answer.json()
        except ValueError:
            said = {}
        said = said if isinstance(said, dict) else {}
        found, detail = said.get("size"), str(said.get("detail", ""))[:_SHOWN]
        size = found if isinstance(found, int) else None
        raise Refused(answer.status_code, detail, size, is_ours="detail" in said and "problems" in said)
