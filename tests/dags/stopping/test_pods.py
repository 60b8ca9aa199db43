"""Leases of pods that were killed as a whole: Kubernetes is asked, and what it can't say removes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.kubernetes import NAMESPACE, Kubernetes, kubernetes

from cwl_ui_plugin.cwl.processes import machine
from cwl_ui_plugin.dags.folders import run_folder
from cwl_ui_plugin.dags.folders.run_folder import TaskTry
from cwl_ui_plugin.dags.stopping import pods

NAME = "align-x1"
POD = f"{NAMESPACE}/{NAME}"
TRY = TaskTry("d", "r", "align", -1, 1)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, airflow_home: Path) -> Iterator[Kubernetes]:
    with kubernetes(tmp_path / "kubernetes") as opened:
        monkeypatch.setenv("AIRFLOW__KUBERNETES_EXECUTOR__IN_CLUSTER", "False")
        monkeypatch.setenv("AIRFLOW__KUBERNETES_EXECUTOR__CONFIG_FILE", str(opened.kubeconfig()))
        monkeypatch.setattr(pods, "ASK_AGAIN_SECONDS", -1.0)
        yield opened


@pytest.fixture
def lease(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lease of a task in a pod, on another machine."""
    run_folder._write_lease(TRY)
    data = json.loads(TRY.lease_file.read_text()) | {"host": NAME, "machine": "another-1", "pod": POD}
    TRY.lease_file.write_text(json.dumps(data))
    return TRY.lease_file


def have(cluster: Kubernetes, phase: str) -> None:
    pod: dict[str, Any] = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "spec": {"containers": []}}
    cluster._change(NAME, "ADDED", {**pod, "status": {"phase": phase}})


def settled() -> int:
    return pods.settle_some(run_folder.all_leases())


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown"])
def test_a_pod_that_is_there_keeps_its_lease(cluster: Kubernetes, lease: Path, phase: str) -> None:
    have(cluster, phase)
    assert settled() == 0
    assert lease.exists()
    assert pods.look(POD) == pods.PodLook(has_ended=False)


@pytest.mark.parametrize("phase", ["Failed", "Succeeded", None])
def test_a_pod_that_has_ended_or_is_gone_loses_it(cluster: Kubernetes, lease: Path, phase: str | None) -> None:
    if phase:
        have(cluster, phase)
    assert settled() == 1
    assert not lease.exists()


def test_a_kubernetes_that_does_not_answer_removes_nothing_and_says_why(cluster: Kubernetes, lease: Path) -> None:
    cluster.is_away = True
    assert settled() == 0
    assert lease.exists()
    assert pods.look(POD).problem == "Kubernetes answered 503 Service Unavailable"


def test_nor_does_a_configuration_that_leads_nowhere(
    cluster: Kubernetes, lease: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__KUBERNETES_EXECUTOR__CONFIG_FILE", "/nowhere/config")
    assert settled() == 0
    assert lease.exists()
    assert pods.look(POD).problem.startswith("Kubernetes can't be asked: ")


@pytest.mark.parametrize("pod", ["align-x1", "airflow/", "/x", "airflow/../secrets/x", "a/b/c", "airflow/X?y", "a b/c"])
def test_what_is_no_name_of_a_pod_is_not_asked_for(cluster: Kubernetes, pod: str) -> None:
    looked = pods.look(pod)
    assert not looked.has_ended
    assert "is no name of a pod" in looked.problem


def test_leases_outside_of_pods_are_not_looked_at(cluster: Kubernetes, folders: Path) -> None:
    run_folder._write_lease(TRY)
    assert settled() == 0
    assert TRY.lease_file.exists()


def test_a_round_asks_of_some_of_many(cluster: Kubernetes, lease: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods, "MAX_ASKED", 1)
    (found,) = run_folder.all_leases()
    assert pods.settle_some([found, found]) == 1


def test_a_task_in_a_pod_says_in_which(folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.this_pod() == ""
    monkeypatch.setenv("AIRFLOW_IS_K8S_EXECUTOR_POD", "True")
    monkeypatch.setenv("AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE", "configured")
    assert machine.this_pod() == f"configured/{machine.this_host()}"
    (tmp_path / "namespace").write_text("of-the-account\n")
    monkeypatch.setattr(machine, "_NAMESPACE_FILE", tmp_path / "namespace")
    run_folder._write_lease(TRY)
    (found,) = run_folder.leases("d", "r")
    assert found.pod == f"of-the-account/{machine.this_host()}"


def test_a_lease_of_an_earlier_version_has_no_pod(folders: Path) -> None:
    run_folder._write_lease(TRY)
    data = json.loads(TRY.lease_file.read_text())
    del data["pod"]
    TRY.lease_file.write_text(json.dumps(data))
    (found,) = run_folder.leases("d", "r")
    assert found.pod == ""
