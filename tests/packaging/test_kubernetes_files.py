"""The files for Kubernetes: options that exist, pods that Kubernetes takes, an image that has what it names."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from support.kubernetes import POD_TEMPLATE, validate

from cwl_ui_plugin import options
from cwl_ui_plugin.cli.airflow_settings import recommended
from cwl_ui_plugin.version import __version__

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "kubernetes"
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
OURS = {option.name for option in options.OPTIONS}


def pod_of_the_executor(resources: dict[str, Any] | None) -> dict[str, Any]:
    """Return the pod that the KubernetesExecutor makes of the template, the values and what a step asks for."""
    from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator

    from cwl_ui_plugin.cwl.requirements import Resources
    from cwl_ui_plugin.dags.resources import ExecutorRules

    rules = ExecutorRules(pool="", max_pool_slots=32, queues=(), kubernetes=True)
    override = (
        rules.executor_arguments(Resources(**resources))["executor_config"]["pod_override"] if resources else None
    )
    pod = PodGenerator.construct_pod(
        dag_id="variant-calling",
        task_id="align.scatter",
        pod_id="variant-calling-align-x1",
        try_number=1,
        kube_image="registry.example/airflow-cwl:0.1.0",
        date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        args=["python", "-m", "airflow.sdk.execution_time.execute_workload"],
        pod_override_object=override,
        base_worker_pod=PodGenerator.deserialize_model_file(str(POD_TEMPLATE)),
        namespace="airflow",
        scheduler_job_id="1",
        run_id="manual__2026-01-01T00:00:00+00:00",
    )
    made: dict[str, Any] = PodGenerator.serialize_pod(pod)
    return {"apiVersion": "v1", "kind": "Pod", **made}


@pytest.mark.parametrize("name", ["pod-template.yaml", "volumes.yaml"])
def test_kubernetes_takes_the_manifests(name: str) -> None:
    for manifest in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8")):
        validate(manifest)


@pytest.mark.parametrize("resources", [None, {"cores": 0.5, "ram": 100.5}, {"cores": 16, "ram": 64000}])
def test_kubernetes_takes_the_pods_of_tasks(resources: dict[str, Any] | None) -> None:
    pod = pod_of_the_executor(resources)
    validate(pod)
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "registry.example/airflow-cwl:0.1.0"
    assert ("requests" in container.get("resources", {})) is bool(resources)
    assert {volume["name"] for volume in pod["spec"]["volumes"]} == {m["name"] for m in container["volumeMounts"]}


def test_a_pod_with_a_field_that_kubernetes_does_not_know_is_found() -> None:
    pod = pod_of_the_executor(None)
    pod["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        validate(pod)


def test_what_the_values_give_to_pods_is_what_kubernetes_takes() -> None:
    """The chart copies these into the pods of every component."""
    pod = {
        "securityContext": VALUES["securityContexts"]["pod"],
        "volumes": VALUES["volumes"],
        "terminationGracePeriodSeconds": VALUES["workers"]["terminationGracePeriodSeconds"],
        "containers": [
            {
                "name": "base",
                "image": "x",
                "securityContext": VALUES["securityContexts"]["containers"],
                "volumeMounts": VALUES["volumeMounts"],
            }
        ],
    }
    validate({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod})
    template = yaml.safe_load(POD_TEMPLATE.read_text(encoding="utf-8"))["spec"]
    for name in ("securityContext", "terminationGracePeriodSeconds"):
        assert template[name] == pod[name]
    assert template["containers"][0]["securityContext"] == VALUES["securityContexts"]["containers"]


def test_the_values_set_options_that_exist(airflow_home: Path) -> None:
    from airflow.configuration import conf
    from airflow.providers_manager import ProvidersManager

    known = {section: set(entry["options"]) for section, entry in conf.configuration_description.items()}
    for _, entry in ProvidersManager().provider_configs:
        known |= {section: set(given["options"]) for section, given in entry.items()}
    known["cwl"] = OURS
    given = {section: set(entry) for section, entry in VALUES["config"].items()}
    unknown = {section: names - known.get(section, set()) for section, names in given.items()}
    assert {section: names for section, names in unknown.items() if names} == {}


def test_the_values_set_what_init_would(airflow_home: Path) -> None:
    bundles = VALUES["config"]["dag_processor"]["dag_bundle_config_list"]
    for setting in recommended(bundles, "/opt/airflow/bundles"):
        assert VALUES["config"][setting.section][setting.name] == setting.value, setting.label
    assert {"name": "cwl", "classpath": "cwl_ui_plugin.dags.bundle.CwlDagBundle", "kwargs": {}} in json.loads(bundles)


def test_all_folders_lie_on_the_volume_that_all_pods_share() -> None:
    (mount,) = VALUES["volumeMounts"]
    folders = {name: value for name, value in VALUES["config"]["cwl"].items() if name.endswith("_folder")}
    assert folders.keys() == {name for name in OURS if name.endswith("_folder")}
    assert all(value.startswith(f"{mount['mountPath']}/") for value in folders.values())
    (claim,) = yaml.safe_load_all((FOLDER / "volumes.yaml").read_text(encoding="utf-8"))
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert VALUES["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_the_image_has_the_tested_airflow_and_names_this_version() -> None:
    text = (FOLDER / "Containerfile").read_text(encoding="utf-8")
    constraints = (FOLDER.parents[1] / "constraints.txt").read_text(encoding="utf-8")
    version = re.search(r"^apache-airflow==(.+)$", constraints, re.MULTILINE)
    assert version
    assert f"ARG AIRFLOW_VERSION={version[1]}\n" in text
    assert VALUES["airflowVersion"] == version[1]
    assert f"cwl_ui_plugin-{__version__}-py3-none-any.whl" in text
    assert VALUES["images"]["airflow"]["tag"] == __version__
    for name in re.findall(r"^COPY --chown=\S+ (\S+) ", text, re.MULTILINE):
        assert (FOLDER.parents[1] / name).exists()
