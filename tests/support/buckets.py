"""An S3 server of the tests' own: moto's, on a free loopback port, which can be slow, busy, or tell what is not so."""

from __future__ import annotations

import functools
import json
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
BUCKET = "sequencing"
LOGIN, SECRET = "a-key", "a-secret-of-the-tests"
Mood = Callable[[dict[str, Any], Callable[..., Any]], "Iterable[bytes] | None"]
"""Answers a request instead of the server, or returns None."""


@dataclass
class Buckets:
    """``asked`` has each request as method and path with query; ``moods`` are asked for an answer first."""

    endpoint: str
    client: Any
    asked: list[str] = field(default_factory=list)
    moods: list[Mood] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the server goes: what hangs until then ends."""
    login: str = LOGIN

    def put(self, bucket: str, key: str, content: bytes = b"") -> str:
        """Put an object; return its address."""
        self.client.put_object(Bucket=bucket, Key=key, Body=content)
        return f"s3://{bucket}/{key}"

    def clear(self, bucket: str) -> None:
        """Remove all objects of a bucket."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            keys = [entry["Key"] for entry in page.get("Contents", ())]
            listed = [{"Key": key} for key in keys if key.isprintable()]  # no list in XML can name others
            if listed:
                self.client.delete_objects(Bucket=bucket, Delete={"Objects": listed})
            for key in keys:
                if not key.isprintable():
                    self.client.delete_object(Bucket=bucket, Key=key)

    def connection(self, login: str = "", **extra: Any) -> str:
        """Return a Connection to this server, as Airflow reads it from its environment."""
        options = {
            "endpoint_url": self.endpoint,
            "region_name": "us-east-1",
            "config_kwargs": {"retries": {"max_attempts": 0}, "s3": {"addressing_style": "path"}},
        }
        found = {"conn_type": "aws", "login": login or self.login, "password": SECRET, "extra": {**options, **extra}}
        return json.dumps(found)


@functools.cache
def _describe_services_once() -> None:
    """Let all clients of this process share what botocore's files say of S3: each would read them anew, for 0.2 s."""
    from botocore.loaders import JSONFileLoader, Loader

    read, listed = JSONFileLoader.load_file, Loader.list_available_services
    contents: dict[str, Any] = {}
    services: dict[tuple[str, ...], list[str]] = {}

    def read_once(loader: Any, path: str) -> Any:
        if path not in contents:
            contents[path] = read(loader, path)
        return contents[path]

    def listed_once(loader: Any, type_name: str) -> list[str]:
        key = (type_name, *loader.search_paths)
        if key not in services:
            services[key] = listed(loader, type_name)
        return list(services[key])

    JSONFileLoader.load_file, Loader.list_available_services = read_once, listed_once


@contextmanager
def buckets() -> Iterator[Buckets]:
    """Run a server until the block ends, and with it the buckets that it has made: moto's are those of a process."""
    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_arguments: object, **_options: object) -> None:
            pass

    _describe_services_once()
    found: list[Buckets] = []
    conditional = threading.Lock()  # moto looks whether a condition holds, and writes then
    moto: Application = create_backend_app("s3")  # a server of all services looks for the right one at each request

    def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        running = found[0]
        query = environ.get("QUERY_STRING", "")
        running.asked.append(f"{environ['REQUEST_METHOD']} {environ['RAW_URI'].partition('?')[0]} {query}".strip())
        for mood in list(running.moods):
            if (answer := mood(environ, start_response)) is not None:
                return answer
        with conditional if {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"} & environ.keys() else nullcontext():
            return moto(environ, start_response)

    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    client = client_of(endpoint)
    found.append(Buckets(endpoint, client))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    before = set(_buckets_of_process())
    try:
        yield found[0]
    finally:
        found[0].over.set()
        client.close()
        server.shutdown()
        thread.join(60)
        server.server_close()
        _forget(set(_buckets_of_process()) - before)


def _buckets_of_process() -> Iterable[str]:
    from moto.s3.models import s3_backends

    return s3_backends.bucket_accounts.keys()


def _forget(names: Iterable[str]) -> None:
    from moto.s3.models import s3_backends

    for name in names:
        partition, account = s3_backends.bucket_accounts.pop(name)
        s3_backends[account][partition].buckets.pop(name, None)


def client_of(endpoint: str, login: str = LOGIN) -> Any:
    """Return a client of an S3 server."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=login,
        aws_secret_access_key=SECRET,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


def connection_id() -> str:
    """Return a name for a Connection; Airflow keeps what it has made of one as long as the process lives."""
    return f"store_{uuid.uuid4().hex[:8]}"


def refusing(status: str, times: int = 10**6, code: str = "SlowDown", message: str = "Not now.") -> Mood:
    """Answer so often with an error of S3."""
    left = [times]

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        if left[0] <= 0:
            return None
        left[0] -= 1
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        start_response(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return answer


def answering(status: str, body: bytes, headers: list[tuple[str, str]], times: int = 10**6) -> Mood:
    """Answer so often when an object, or a listing, is asked for."""
    left = [times]

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
        if environ["REQUEST_METHOD"] != "GET" or not left[0]:
            return None
        left[0] -= 1
        start_response(status, headers)
        return [body]

    return answer


def listing_without_end(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes] | None:
    """Answer each listing with a page of a thousand keys, and that there are more."""
    if "list-type=2" not in environ.get("QUERY_STRING", ""):
        return None
    entry = '<Contents><Key>many/{}</Key><Size>1</Size><ETag>"e"</ETag></Contents>'
    keys = "".join(entry.format(uuid.uuid4().hex) for _key in range(1000))
    body = (
        "<?xml version='1.0'?><ListBucketResult xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
        f"<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>{keys}</ListBucketResult>"
    ).encode()
    start_response("200 OK", [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]
