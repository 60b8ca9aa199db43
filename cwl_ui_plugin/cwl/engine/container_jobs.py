"""What cwltool's container jobs need besides: a label to be found by, an image that is there, rights that fit."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cwltool.docker import DockerCommandLineJob
from cwltool.errors import UnsupportedRequirement, WorkflowException
from cwltool.job import ContainerCommandLineJob

from cwl_ui_plugin.cwl.containers.policy import DOCKER, NETWORK, ContainerPolicy, full_name
from cwl_ui_plugin.cwl.containers.task_containers import ENGINE_FILE, LABEL
from cwl_ui_plugin.cwl.engine.reach import Reach
from cwl_ui_plugin.cwl.processes.task_processes import TAG_VARIABLE

if TYPE_CHECKING:
    from cwltool.context import RuntimeContext
    from cwltool.job import JobBase

    from cwl_ui_plugin.cwl.plan import CwlObject


_SINGULARITY_CACHE = "CWL_SINGULARITY_CACHE"
_SHOWN_CHARACTERS = 600
# It is for rootless podman, and as root podman refuses it; cwltool gives it always.
_FOR_ROOTLESS = "--userns=keep-id"


class ImageUnavailable(WorkflowException):
    """The engine has no such image and can't pull it; that may pass."""


class NotAllowedHere(WorkflowException):
    """The site does not let a command run like that; see :mod:`cwl_ui_plugin.cwl.containers.policy`."""


def prepare_engine(engine: str, folder: Path, images: Path | None) -> None:
    """Get the environment of this process ready for an engine; ``images`` is where singularity keeps what it pulls."""
    if engine != "singularity":
        return
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)  # cwltool looks for images in all of the folder that it is in
    if images is not None and _SINGULARITY_CACHE not in os.environ:
        images.mkdir(parents=True, exist_ok=True)
        os.environ[_SINGULARITY_CACHE] = str(images)
    apptainer = shutil.which("apptainer")
    if apptainer and not shutil.which("singularity"):  # the only name that cwltool knows
        place = folder / "bin"
        place.mkdir(parents=True, exist_ok=True)
        (place / "singularity").symlink_to(apptainer)
        os.environ["PATH"] = f"{place}{os.pathsep}{os.environ['PATH']}"


def prepare_job(
    job: JobBase, context: RuntimeContext, folder: Path, policy: ContainerPolicy, reach: Reach | None
) -> None:
    """Get a job that is about to run ready, if it is one of a container engine.

    Raises:
        NotAllowedHere: the site does not let it run like that.
        OutOfReach: it has files that are none of its own, where it is kept in containers.
        ImageUnavailable: its image can't be pulled.
        UnsupportedRequirement: its DockerRequirement does not say which image.

    """
    is_contained = isinstance(job, ContainerCommandLineJob)
    requirement: Any = job.get_requirement(DOCKER)[0] if is_contained else None
    _check_policy(job, requirement, context, policy)
    if reach is not None:
        reach.check_job(job)
    if not is_contained:
        return
    if requirement is not None and "dockerPull" not in requirement:
        _name_image(requirement)
    if not isinstance(job, DockerCommandLineJob) or context.user_space_docker_cmd:
        return
    if requirement is not None and "dockerPull" in requirement:
        _have_image(job.docker_exec, requirement)
    (folder / ENGINE_FILE).write_text(job.docker_exec, encoding="utf-8")
    create = job.create_runtime

    def create_runtime(*arguments: Any) -> tuple[list[str], str | None]:
        words, cid_file = create(*arguments)
        return _with_label(words), cid_file

    job.create_runtime = create_runtime  # type: ignore[method-assign, assignment]


def _check_policy(
    job: JobBase, requirement: CwlObject | None, context: RuntimeContext, policy: ContainerPolicy
) -> None:
    """Raise :class:`NotAllowedHere`, or have the job run with the image and the network that were looked at."""
    network = {"networkAccess": job.networkaccess}
    is_hint = not job.get_requirement(NETWORK)[1]
    if policy.required and requirement is None and job.get_requirement(DOCKER)[0] is not None:
        raise NotAllowedHere(
            "tools run in containers only here ([cwl] require_container), and this worker has no container engine: "
            "install docker, podman or singularity there, or see [cwl] container_engine"
        )
    if why := policy.complaint(requirement, network, is_hint=is_hint):
        raise NotAllowedHere(why)
    if requirement is None:
        return
    if policy.required and context.user_space_docker_cmd:
        raise NotAllowedHere(
            "udocker keeps a tool neither from the files of the worker nor from the network; containers are required "
            "here ([cwl] require_container)"
        )
    if policy.required and job.inplace_update:
        raise NotAllowedHere(
            "it writes into its inputs (InplaceUpdateRequirement), which are not its own; tools are kept in containers "
            "here ([cwl] require_container)"
        )
    names = [name for name in ("dockerPull", "dockerImageId") if name in requirement]
    for name in names:
        if str(requirement[name]).startswith("-"):  # an engine would take it for an option
            raise NotAllowedHere(f"{requirement[name]!r} is no name of an image")
        if policy.images:
            requirement[name] = full_name(str(requirement[name]))
    if not policy.allow_network:
        job.networkaccess = False


def _with_label(words: list[str]) -> list[str]:
    if os.geteuid() == 0:
        words = [word for word in words if word != _FOR_ROOTLESS]
    place = words.index("run") + 1
    return [*words[:place], f"--label={LABEL}={os.environ.get(TAG_VARIABLE, '')}", *words[place:]]


def _name_image(requirement: CwlObject) -> None:
    """Give the image of a dockerFile a name, if the document has none: the same for the same text."""
    if "dockerImageId" in requirement:
        return
    if "dockerFile" not in requirement:
        raise UnsupportedRequirement(
            "its DockerRequirement names no image: dockerPull, or dockerImageId beside dockerLoad or dockerImport"
        )
    digest = hashlib.sha256(requirement["dockerFile"].encode()).hexdigest()[:16]
    requirement["dockerImageId"] = f"localhost/cwl-ui-plugin:{digest}"


def _have_image(engine: str, requirement: CwlObject) -> None:
    """Pull an image that the engine does not have; cwltool would leave what the engine says to the log."""
    image, pulled = requirement.get("dockerImageId") or requirement["dockerPull"], requirement["dockerPull"]
    if shutil.which(engine) is None or _run(engine, "image", "inspect", image).returncode == 0:
        return
    answer = _run(engine, "pull", pulled)
    if answer.returncode:
        said = answer.stderr.strip()[-_SHOWN_CHARACTERS:]
        raise ImageUnavailable(f"{engine} has no image {image} and can't pull {pulled}: {said}")


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(list(words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
