"""A Kubernetes of the tests' own: its API for pods, and a node that runs each pod as a process on a machine of its own.

It has what the KubernetesExecutor and the plugin ask for, and refuses a pod that Kubernetes' schemas do not allow. What
a real node does beyond that (images, volumes, limits, networks) it does not: all pods see the same disk.
"""

from __future__ import annotations

import copy
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import pytest
from support.airflow_server import START_SECONDS, Server, wait_for
from support.scale_out import Cluster, free_port, is_ready, machine, postgresql_server, start_airflow

from cwl_ui_plugin.cli.components import Components
from cwl_ui_plugin.cli.home import Home

VERSION = "1.33"
"""Of the schemas that pods are validated by."""
NAMESPACE = "airflow"
ROOT = Path(__file__).resolve().parents[2]
POD_TEMPLATE = ROOT / "deploy" / "kubernetes" / "pod-template.yaml"
ENDED = ("Succeeded", "Failed")
Pod = dict[str, Any]
# What dumb-init does in Airflow's images: a signal for the first process is one for all that it started.
INIT = """
import os, signal, subprocess, sys
child = subprocess.Popen(sys.argv[1:], start_new_session=True)
def forward(number, _frame):
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, forward)
while True:
    pid, status = os.wait()
    if pid == child.pid:
        sys.exit(os.waitstatus_to_exitcode(status) & 0xff)
"""


def validate(manifest: Mapping[str, Any]) -> None:
    """Check a manifest by the schemas that Kubernetes publishes; no field may be there that they do not know."""
    kubernetes_validate.validate(dict(manifest), VERSION, strict=True)


@dataclass
class Kubernetes:
    """The API server and its one node."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    """What the containers of pods have in their environment, besides what their pods say."""
    port: int = 0
    created: list[Pod] = field(default_factory=list)
    """Every pod as it was sent."""
    is_away: bool = False
    """Every request is answered with 503."""
    _pods: dict[str, Pod] = field(default_factory=dict)
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _events: list[tuple[str, Pod]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def kubeconfig(self) -> Path:
        """Write the file by which clients find it."""
        path = self.folder / "kubeconfig.json"
        cluster = {"name": "tests", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}
        context = {"name": "tests", "context": {"cluster": "tests", "user": "tests"}}
        user = {"name": "tests", "user": {"token": "tests"}}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "tests"}
        path.write_text(json.dumps({**config, "clusters": [cluster], "contexts": [context], "users": [user]}))
        return path

    def pods(self, **labels: str) -> list[Pod]:
        """Return the pods that are there and have these labels."""
        with self._changed:
            return [copy.deepcopy(pod) for pod in self._pods.values() if labels.items() <= _labels(pod).items()]

    def pod(self, name: str) -> Pod | None:
        with self._changed:
            return copy.deepcopy(self._pods.get(name))

    def create(self, pod: Pod) -> Pod:
        """Take a pod, and start it."""
        validate({"apiVersion": "v1", "kind": "Pod", **pod})
        self.created.append(copy.deepcopy(pod))
        name = pod["metadata"]["name"]
        pod["metadata"] |= {"namespace": NAMESPACE, "uid": name, "creationTimestamp": _now()}
        pod["status"] = {"phase": "Pending"}
        self._change(name, "ADDED", pod)
        threading.Thread(target=self._run, args=(name,), daemon=True).start()
        return pod

    def label(self, name: str, labels: Mapping[str, str]) -> None:
        with self._changed:
            pod = copy.deepcopy(self._pods[name])
        pod["metadata"]["labels"] = {**_labels(pod), **labels}
        self._change(name, "MODIFIED", pod)

    def delete(self, name: str, grace: float | None = None) -> None:
        """End a pod as a node does: SIGTERM, then, after its grace, SIGKILL for all of it; then it is gone."""
        with self._changed:
            pod = copy.deepcopy(self._pods[name])
        if grace is None:
            grace = float(pod["spec"].get("terminationGracePeriodSeconds", 30))
        pod["metadata"]["deletionTimestamp"] = _now()
        self._change(name, "MODIFIED", pod)
        threading.Thread(target=self._end, args=(name, grace), daemon=True).start()

    def kill(self, name: str) -> None:
        """Kill all of a pod at once, as the kernel does where memory is out; what is left of it says so."""
        self._processes[name].kill()  # with its namespace of processes

    def forget(self, name: str) -> None:
        """Remove a pod that has ended."""
        self._change(name, "DELETED", None)

    def _run(self, name: str) -> None:
        pod = self.pod(name) or {}
        (container,) = pod["spec"]["containers"]
        words = [*container.get("command", ()), *container.get("args", ())]
        words = [sys.executable if word == "python" else word for word in words]
        variables = {entry["name"]: entry["value"] for entry in container.get("env", ()) if "value" in entry}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*machine(name), sys.executable, "-c", INIT, *words],
                env={**self.environment, **variables},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        with self._changed:
            self._processes[name] = process
        self._set_phase(name, "Running")
        code = process.wait()
        self._set_phase(name, "Failed" if code else "Succeeded", code)

    def _end(self, name: str, grace: float) -> None:
        process = wait_for(lambda: self._processes.get(name), 60, f"the start of {name}")
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(_first_child(process.pid), signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(grace)
            process.kill()
            process.wait()
        wait_for(lambda: _phase(self.pod(name)) in (*ENDED, None), 60, f"the end of {name}")
        self._change(name, "DELETED", None)

    def _set_phase(self, name: str, phase: str, code: int | None = None) -> None:
        if pod := self.pod(name):
            pod["status"]["phase"] = phase
            state = {"running": {}} if code is None else {"terminated": {"exitCode": code & 0xFF, "reason": "Error"}}
            known = {
                "name": "base",
                "ready": code is None,
                "restartCount": 0,
                "image": "",
                "imageID": "",
                "state": state,
            }
            pod["status"]["containerStatuses"] = [known]
            self._change(name, "MODIFIED", pod)

    def _change(self, name: str, kind: str, pod: Pod | None) -> None:
        with self._changed:
            if pod is None:
                pod = self._pods.pop(name, None)
                if pod is None:
                    return
            elif kind != "ADDED" and name not in self._pods:
                return
            else:
                self._pods[name] = pod
            pod["metadata"]["resourceVersion"] = str(len(self._events) + 1)
            self._events.append((kind, copy.deepcopy(pod)))
            self._changed.notify_all()

    def listed(self, query: Mapping[str, str]) -> dict[str, Any]:
        items = [pod for pod in self.pods() if _selected(pod, query)]
        return {
            "apiVersion": "v1",
            "kind": "PodList",
            "metadata": {"resourceVersion": str(len(self._events))},
            "items": [{"apiVersion": "v1", "kind": "Pod", **pod} for pod in items],
        }

    def watched(self, query: Mapping[str, str], until: float) -> Iterator[dict[str, Any]]:
        """Yield what changes, from the version on that the query names."""
        seen = int(query.get("resourceVersion") or 0)
        while time.monotonic() < until:
            for kind, pod in (new := self._news(seen)):
                if _selected(pod, query):
                    yield {"type": kind, "object": {"apiVersion": "v1", "kind": "Pod", **pod}}
            seen += len(new)

    def _news(self, seen: int) -> list[tuple[str, Pod]]:
        """Return what has changed since; it waits a second for something to change."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._events) > seen, 1)
            return self._events[seen:]

    def stop(self) -> None:
        for process in list(self._processes.values()):
            process.kill()


def _labels(pod: Pod) -> dict[str, str]:
    return dict(pod["metadata"].get("labels") or {})


def _phase(pod: Pod | None) -> str | None:
    return pod["status"]["phase"] if pod else None


def _selected(pod: Pod, query: Mapping[str, str]) -> bool:
    """Whether a pod fits a query's selectors, of which ``=`` and ``!=`` are known."""
    for part in filter(None, query.get("labelSelector", "").split(",")):
        name, operator, value = re.fullmatch(r"([^!=]+)(!?==?)(.*)", part).groups()  # type: ignore[union-attr]
        if (_labels(pod).get(name) == value) is operator.startswith("!"):
            return False
    fields = query.get("fieldSelector", "")
    return not fields.startswith("status.phase=") or _phase(pod) == fields.partition("=")[2]


def _first_child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


# What clients ask for to find out what there is.
DISCOVERY = {
    "/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {
                "name": "pods",
                "singularName": "pod",
                "namespaced": True,
                "kind": "Pod",
                "verbs": ["create", "delete", "get", "list", "patch", "watch"],
            }
        ],
    },
}
POD_PATH = re.compile(rf"/api/v1/namespaces/{NAMESPACE}/pods(?:/([a-z0-9.-]+))?(/log)?")


class ApiServer(ThreadingHTTPServer):
    """Serves the API of a cluster."""

    daemon_threads = True

    def __init__(self, cluster: Kubernetes) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.cluster = cluster


class Request(BaseHTTPRequestHandler):
    """One request, or one connection's requests, of a client."""

    protocol_version = "HTTP/1.1"
    server: ApiServer

    def log_message(self, *_arguments: Any) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
        match = POD_PATH.fullmatch(parts.path)
        if self.server.cluster.is_away:
            self._refuse(503, "away")
        elif parts.path.rstrip("/") in DISCOVERY:
            self._answer(200, DISCOVERY[parts.path.rstrip("/")])
        elif match is None:
            self._refuse(404, f"nothing at {parts.path}")
        elif match[1] is None:
            self._all(query, body)
        else:
            self._one(match[1], query, body, is_log=bool(match[2]))

    do_GET = do_POST = do_PATCH = do_DELETE = _handle

    def _all(self, query: Mapping[str, str], body: Any) -> None:
        if self.command == "POST":
            try:
                self._answer(201, self.server.cluster.create(body))
            except kubernetes_validate.ValidationError as error:
                self._refuse(422, str(error))
        elif query.get("watch", "").lower() == "true":
            self._watch(query)
        else:
            self._answer(200, self.server.cluster.listed(query))

    def _one(self, name: str, query: Mapping[str, str], body: Any, *, is_log: bool) -> None:
        cluster = self.server.cluster
        pod = cluster.pod(name)
        if pod is None:
            return self._refuse(404, f'pods "{name}" not found')
        if is_log:
            return self._answer(200, (cluster.folder / f"{name}.log").read_text(errors="replace"))
        if self.command == "DELETE":
            grace = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
            cluster.delete(name, None if grace is None else float(grace))
        elif self.command == "PATCH":
            cluster.label(name, body["metadata"]["labels"])
        return self._answer(200, cluster.pod(name) or pod)

    def _watch(self, query: Mapping[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        until = time.monotonic() + float(query.get("timeoutSeconds", 3600))
        with suppress(OSError):
            for event in self.server.cluster.watched(query, until):
                line = json.dumps(event).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, {"kind": "Status", "apiVersion": "v1", "code": status, "message": message})

    def _answer(self, status: int, body: Any) -> None:
        content = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def kubernetes(folder: Path) -> Iterator[Kubernetes]:
    """Serve it on a free port; at the end nothing of its pods is left."""
    folder.mkdir(exist_ok=True)
    cluster = Kubernetes(folder)
    server = ApiServer(cluster)
    cluster.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield cluster
    finally:
        server.shutdown()
        server.server_close()
        cluster.stop()


@contextmanager
def kubernetes_cluster(folder: Path, **variables: str) -> Iterator[tuple[Cluster, Kubernetes]]:
    """Start Airflow with the KubernetesExecutor on PostgreSQL and a Kubernetes of its own."""
    if not machine("test"):
        pytest.skip("this machine does not let processes have namespaces")
    home = Home(folder / "home", "simple")
    with postgresql_server(folder / "postgresql") as database, kubernetes(folder / "kubernetes") as pods:
        port = free_port()
        environment = {
            **home.prepare("127.0.0.1", port, []),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database.address}",
            "AIRFLOW__CORE__EXECUTOR": "KubernetesExecutor",
            "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE": NAMESPACE,
            "AIRFLOW__KUBERNETES_EXECUTOR__IN_CLUSTER": "False",
            "AIRFLOW__KUBERNETES_EXECUTOR__CONFIG_FILE": str(pods.kubeconfig()),
            "AIRFLOW__KUBERNETES_EXECUTOR__POD_TEMPLATE_FILE": str(POD_TEMPLATE),
            "AIRFLOW__KUBERNETES_EXECUTOR__WORKER_CONTAINER_REPOSITORY": "registry.example/airflow-cwl",
            "AIRFLOW__KUBERNETES_EXECUTOR__WORKER_CONTAINER_TAG": "tests",
            "AIRFLOW__KUBERNETES_EXECUTOR__WORKER_PODS_CREATION_BATCH_SIZE": "8",
            "AIRFLOW__CWL__KUBERNETES_RESOURCES": "True",
            "AIRFLOW__CWL__CONTAINER_ENGINE": "none",
            **variables,
        }
        pods.environment = {**os.environ, **environment}
        components = Components(home.logs, environment)
        try:
            start_airflow(components, port)
            server = Server(f"http://127.0.0.1:{port}", home.user, home.password, os.getpid(), home.folder, "simple")
            cluster = Cluster(server, components, database.address, are_machines=True)
            wait_for(lambda: is_ready(components, server, 0), START_SECONDS, f"the cluster in {folder}")
            yield cluster, pods
        finally:
            components.stop()
