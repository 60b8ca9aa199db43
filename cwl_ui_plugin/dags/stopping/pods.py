"""Whether a pod of the KubernetesExecutor has ended that can't say so itself any more.

A task gives its lease back when nothing of it is left. A pod that was killed as a whole (out of memory, its node gone)
gives nothing back, and no janitor is beside it: Kubernetes knows. Only the API server asks, by the settings in
``[kubernetes_executor]``; its service account needs the right to get pods.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass

from cwl_ui_plugin.dags.folders import control_files
from cwl_ui_plugin.dags.folders.run_folder import TaskLease

log = logging.getLogger(__name__)
ASK_AGAIN_SECONDS = 1.0
REQUEST_SECONDS = (3, 5)
"""To connect, and to answer."""
MAX_ASKED = 100
"""Of how many pods a round of cleaning asks; the next round asks of others."""
_POD = re.compile(r"([a-z0-9-]{1,63})/([a-z0-9.-]{1,253})")
_ENDED = ("Succeeded", "Failed")
_NOT_FOUND = 404
_MAX_KNOWN = 1000
_known: dict[str, tuple[float, PodLook]] = {}


@dataclass(frozen=True)
class PodLook:
    """What Kubernetes says of a pod: nothing of it runs any more; or why that can't be told."""

    has_ended: bool
    problem: str = ""


def settle(leases: Iterable[TaskLease]) -> int:
    """Remove the leases of pods that have ended; return how many."""
    ended = [lease for lease in leases if lease.pod and look(lease.pod).has_ended]
    for lease in ended:
        log.info("The pod %s of %s has ended without giving its lease back.", lease.pod, lease.tag)
        control_files.remove(lease.path)
    return len(ended)


def settle_some(leases: Iterable[TaskLease]) -> int:
    """Do that for as many of many leases as one round may ask of."""
    in_pods = [lease for lease in leases if lease.pod]
    return settle(random.sample(in_pods, min(MAX_ASKED, len(in_pods))))


def look(pod: str) -> PodLook:
    """Ask Kubernetes for a pod, ``<namespace>/<name>``, unless it was asked a moment ago."""
    at, said = _known.get(pod, (float("-inf"), PodLook(has_ended=False)))
    if time.monotonic() - at > ASK_AGAIN_SECONDS:
        said = _ask(pod)
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[pod] = (time.monotonic(), said)
    return said


def _ask(pod: str) -> PodLook:
    match = _POD.fullmatch(pod)
    if match is None:
        return PodLook(has_ended=False, problem=f"{pod!r} is no name of a pod")
    try:
        from airflow.providers.cncf.kubernetes.kube_client import get_kube_client
        from kubernetes.client import ApiException
    except ImportError:
        return PodLook(
            has_ended=False, problem="the extra cwl-ui-plugin[kubernetes] is not installed in the API server"
        )
    try:
        found = get_kube_client().read_namespaced_pod(match[2], match[1], _request_timeout=REQUEST_SECONDS)
    except ApiException as error:
        if error.status == _NOT_FOUND:
            return PodLook(has_ended=True)
        return PodLook(has_ended=False, problem=f"Kubernetes answered {error.status} {error.reason}")
    except Exception as error:  # of its configuration, or of any layer of the network
        log.debug("Kubernetes can't be asked for %s", pod, exc_info=True)
        return PodLook(has_ended=False, problem=f"Kubernetes can't be asked: {' '.join(str(error).split())[:200]}")
    return PodLook(has_ended=found.status.phase in _ENDED)
