"""A receiver of telemetry, in a process of its own: what is posted to it, it keeps in a folder, one file for each call.

python telemetry.py FOLDER     # writes FOLDER/port once it listens
"""

from __future__ import annotations

import gzip
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LINEAGE, TRACES, METRICS = "/api/v1/lineage", "/v1/traces", "/v1/metrics"


@dataclass(frozen=True)
class Collector:
    """A running receiver, and what it has got so far."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def bodies(self, path: str) -> list[bytes]:
        """Return the bodies of the calls of a path, in their order."""
        name = path.strip("/").replace("/", ".")
        return [found.read_bytes() for found in sorted(self.folder.glob(f"*.{name}"))]

    def events(self) -> list[dict[str, Any]]:
        """Return the events of OpenLineage."""
        return [json.loads(body) for body in self.bodies(LINEAGE)]

    def spans(self) -> list[Any]:
        """Return the spans, as opentelemetry-proto has them."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        calls = [ExportTraceServiceRequest.FromString(body) for body in self.bodies(TRACES)]
        return [
            span for call in calls for of in call.resource_spans for scope in of.scope_spans for span in scope.spans
        ]

    def metric_names(self) -> set[str]:
        """Return the names of all metrics that were sent."""
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        calls = [ExportMetricsServiceRequest.FromString(body) for body in self.bodies(METRICS)]
        scopes = [scope for call in calls for of in call.resource_metrics for scope in of.scope_metrics]
        return {metric.name for scope in scopes for metric in scope.metrics}


@contextmanager
def collector(folder: Path) -> Iterator[Collector]:
    """Start a receiver on a free port; end it."""
    folder.mkdir(parents=True)
    process = subprocess.Popen([sys.executable, __file__, str(folder)])
    try:
        deadline = time.monotonic() + 60
        while not (folder / "port").exists():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        yield Collector(folder, int((folder / "port").read_text()))
    finally:
        process.terminate()
        process.wait(timeout=30)


def main() -> None:
    folder, numbers = Path(sys.argv[1]), itertools.count()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            name = f"{next(numbers):06}.{self.path.strip('/').replace('/', '.')}"
            (folder / f".{name}").write_bytes(body)
            (folder / f".{name}").rename(folder / name)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    (folder / ".port").write_text(str(server.server_address[1]))
    (folder / ".port").rename(folder / "port")
    server.serve_forever()


if __name__ == "__main__":
    main()
