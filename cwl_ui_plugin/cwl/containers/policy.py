"""What a site asks of tools: that they run in containers, in which images, and with which network. Needs no cwltool.

It is asked twice: of a document when it is uploaded, and of each command just before it runs, when all that a tool
inherits is known. An image is named in full before it is compared, and it is that name which the engine gets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from cwl_ui_plugin.cwl.errors import Problem
from cwl_ui_plugin.cwl.requirements import in_force

DOCKER, NETWORK = "DockerRequirement", "NetworkAccess"
MADE_BY_DOCUMENT = ("dockerFile", "dockerLoad", "dockerImport")
HUB = "docker.io"
MAX_NAME = 500
_HUB_NAMES = (HUB, "index.docker.io", "registry-1.docker.io")
# https://pkg.go.dev/github.com/distribution/reference: registry with a port, path, tag, digest
_PART = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?P<name>(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_Json = Mapping[str, Any]


class NotAnImage(ValueError):
    """A text is no name of an image."""


@dataclass(frozen=True)
class ContainerPolicy:
    """``required``: no command runs outside of a container. ``images``: patterns of names; none allow every image.

    ``allow_network``: a container gets the network that its document asks for.
    """

    required: bool = False
    images: tuple[str, ...] = ()
    allow_network: bool = True

    def complaint(self, docker: _Json | None, network: _Json | None = None, *, is_hint: bool = False) -> str | None:
        """Return why a tool with these requirements may not run here, or None; ``is_hint`` is about the network."""
        if docker is None:
            return _NO_CONTAINER if self.required else None
        if (self.required or self.images) and (why := self._complaint_of_image(docker)):
            return why
        if not self.allow_network and not is_hint and network is not None and network.get("networkAccess") is True:
            return _NO_NETWORK
        return None

    def _complaint_of_image(self, docker: _Json) -> str | None:
        made = [name for name in MADE_BY_DOCUMENT if name in docker]
        if made:
            return _MADE.format(", ".join(made))
        names = [str(docker[name]) for name in ("dockerPull", "dockerImageId") if name in docker]
        if not names:
            return _NO_IMAGE
        try:
            full = [full_name(name) for name in names]
        except NotAnImage as error:
            return str(error)
        return next((_NOT_ALLOWED.format(name) for name in full if not self._allows(name)), None)

    def _allows(self, name: str) -> bool:
        """Whether a full name fits a pattern, also without its tag or digest."""
        bare = name.partition("@")[0] if "@" in name else name.rpartition(":")[0]
        return not self.images or any(
            fnmatchcase(form, pattern) for form in (name, bare) for pattern in map(full_pattern, self.images)
        )


ANYTHING = ContainerPolicy()
"""What a site asks that asks nothing."""
_NO_CONTAINER = (
    "it runs outside of a container, and this site runs tools in containers only ([cwl] require_container): give it a "
    "DockerRequirement with dockerPull"
)
_MADE = (
    "its image is made by the document ({}), and this site runs only images that dockerPull names ([cwl] "
    "require_container, allowed_images)"
)
_NO_IMAGE = "its DockerRequirement names no image: give it dockerPull"
_NOT_ALLOWED = "its image {} is none of those that this site allows ([cwl] allowed_images)"
_NO_NETWORK = (
    "it asks for the network (NetworkAccess), which containers do not get on this site ([cwl] allow_container_network)"
)


def complaints(document: _Json, policy: ContainerPolicy) -> list[Problem]:
    """Return what a site has against the tools of a packed document."""
    return [
        Problem(f"{name}: {why}")
        for name, requirements in _tools(document, ())
        if (why := complaint_of(requirements, policy)) is not None
    ]


def complaint_of(requirements: tuple[Mapping[str, object], ...], policy: ContainerPolicy) -> str | None:
    """Return why a command with these requirements in force may not run; see :func:`requirements.in_force`."""
    found = {str(item["class"]).rpartition("#")[2]: item for item in requirements}
    network = found.get(NETWORK)
    return policy.complaint(found.get(DOCKER), network, is_hint=bool(network and network.get("is_hint")))


def _tools(
    document: _Json, inherited: tuple[dict[str, object], ...]
) -> Iterator[tuple[str, tuple[dict[str, object], ...]]]:
    """Yield the command line tools of a document, by what they are called, with the requirements in force."""
    requirements = in_force(document, inherited)
    if document["class"] == "CommandLineTool":
        yield _called(document), requirements
    for step in document.get("steps", ()):
        yield from _tools(step["run"], in_force(step, requirements))


def _called(document: _Json) -> str:
    """Return what people call a tool: its file, or its place in it."""
    path, _, fragment = str(document.get("id", "")).removeprefix("cwl:").partition("#")
    return "#".join(part for part in (path, fragment) if part and part != "main") or "The tool"


def full_name(image: str) -> str:
    """Return the name of an image with its registry and its tag or digest; raise :class:`NotAnImage`.

    A name without a registry is one of Docker Hub, and not what an engine finds in the first of its registries.
    """
    match = _IMAGE.fullmatch(image.removeprefix("docker://")) if len(image) <= MAX_NAME else None
    if match is None:
        raise NotAnImage(f"{image[:200]!r} is no name of an image")
    name = _with_registry(match["name"])
    if match["digest"]:
        return f"{name}@{match['digest']}"
    return f"{name}:{match['tag'] or 'latest'}"


def full_pattern(pattern: str) -> str:
    """Return a pattern for full names: one that begins with a name of Docker Hub gets its registry."""
    return pattern if pattern.startswith(("*", "?", "[")) else _with_registry(pattern)


def _with_registry(name: str) -> str:
    registry, slash, path = name.partition("/")
    is_registry = bool(slash) and ("." in registry or ":" in registry or registry == "localhost" or "*" in registry)
    if not is_registry:
        registry, path = HUB, name
    registry = HUB if registry.lower() in _HUB_NAMES else registry.lower()
    return f"{registry}/library/{path}" if registry == HUB and "/" not in path else f"{registry}/{path}"
