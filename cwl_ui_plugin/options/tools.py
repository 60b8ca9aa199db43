"""Which documents and tools may run, and in which containers."""

from __future__ import annotations

from cwl_ui_plugin.options.option import Option

TOOLS = (
    Option(
        "allow_draft_versions",
        "False",
        "boolean",
        "Take documents in CWL v1.3.0-dev1, the draft of the next version, as cwltool --enable-dev does. A draft "
        "changes: a document that is in one may have to be uploaded anew after an upgrade.",
    ),
    Option(
        "allow_job_requirements",
        "False",
        "boolean",
        "Let the job of a run bring requirements of its own (cwl:requirements), for tools of CWL v1.1 and later. They "
        "change what the tool does: only for sites where everybody who may trigger a workflow may also upload one.",
    ),
    Option(
        "container_engine",
        "auto",
        "string",
        "What runs tools with a DockerRequirement: auto (the first of docker, podman, singularity, udocker "
        "that answers), docker, podman, singularity, udocker or none.",
    ),
    Option(
        "container_engine_timeout",
        "120",
        "float",
        "Seconds that a task waits for a container engine to say that it works. One that has not answered by then, or "
        "does not work, fails the task, to be tried again; no tool runs outside of its container for that.",
    ),
    Option(
        "require_container",
        "False",
        "boolean",
        "Run tools in containers only, in images that dockerPull names: a command line tool without is refused when it "
        "is uploaded, and fails in a task.",
    ),
    Option(
        "allowed_images",
        "",
        "string",
        "Images that tools may run in, separated by commas, or a JSON list: names with * for anything. A name without "
        "a registry is one of docker.io. Empty: all.",
        "quay.io/biocontainers/*, *@sha256:*",
    ),
    Option(
        "allow_container_network",
        "",
        "string",
        "Whether containers get the network that their document asks for (NetworkAccess). Empty: yes, but no with "
        "require_container.",
        "False",
    ),
    Option("use_container", "True", "boolean", "The predecessors' switch; False is container_engine = none."),
    Option(
        "preload",
        "True",
        "boolean",
        "Import cwltool in the processes that fork task processes, so that a step starts in milliseconds.",
    ),
)
