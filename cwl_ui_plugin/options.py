"""The options of the ``[cwl]`` section: what each is called, means, and is when nobody sets it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """One option of the section; ``default`` is text, as Airflow keeps it."""

    name: str
    default: str
    type: str
    description: str
    example: str | None = None


OPTIONS: tuple[Option, ...] = (
    Option(
        "workflows_folder",
        "",
        "string",
        "Where uploaded workflows are kept. Empty: the folder cwl/workflows in the Airflow home. "
        "API server, Dag processor and workers must see the same files there.",
        "/srv/cwl/workflows",
    ),
    Option(
        "inputs_folder",
        "",
        "string",
        "Relative paths in a job are resolved against this folder, and files uploaded as inputs are put "
        "below it. Empty: the folder cwl/inputs in the Airflow home.",
        "/srv/cwl/inputs",
    ),
    Option(
        "input_roots",
        "",
        "string",
        "More folders that the files of everybody's jobs may come from, separated by colons, besides inputs_folder. "
        "What users uploaded, and outputs of runs, can be used by those who may see them; a folder of these that is "
        "named here is open to everybody.",
        "/data/genomes:/data/reads",
    ),
    Option(
        "outputs_folder",
        "",
        "string",
        "Outputs of a run go to <outputs_folder>/<dag_id>/<run_id>, if its job names no output_folder. "
        "Empty: the folder cwl/outputs in the Airflow home.",
        "/srv/cwl/outputs",
    ),
    Option(
        "output_roots",
        "",
        "string",
        "Folders that a job may name by absolute paths as its output_folder or tmp_folder, separated by colons. "
        "Relative ones are below outputs_folder/<dag_id> and tmp_folder/<dag_id>. No folder here may contain, or be "
        "in, a folder of workflows, inputs, intermediate files or reuse.",
        "/data/results",
    ),
    Option(
        "tmp_folder",
        "",
        "string",
        "Intermediate files of runs; all workers must see the same files there. "
        "Empty: the folder cwl/tmp in the Airflow home.",
        "/scratch/cwl",
    ),
    Option("max_upload_size", "33554432", "integer", "Largest upload of a workflow, in bytes."),
    Option(
        "max_unpacked_size",
        "268435456",
        "integer",
        "Largest size of the files of an uploaded zip after unpacking, in bytes.",
    ),
    Option("max_unpacked_files", "5000", "integer", "Most files that an uploaded zip may hold."),
    Option("max_input_size", "10737418240", "integer", "Largest file that can be uploaded as an input, in bytes."),
    Option(
        "max_job_size",
        "4194304",
        "integer",
        "Most characters of a job as text (YAML or JSON). Calls that carry jobs may have four bytes for each of them, "
        "and never less than 16 MiB. Reading YAML takes a second of the API server for each million, JSON much less.",
    ),
    Option(
        "compile_timeout",
        "300",
        "integer",
        "Seconds after which the validation of an uploaded workflow is given up.",
    ),
    Option(
        "allow_network",
        "False",
        "boolean",
        "Let the validation of a workflow, and input files, be fetched from the network.",
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
    Option(
        "require_signed_conf",
        "False",
        "boolean",
        "Every task verifies that its run was signed, before anything else, and fails if it was not.",
    ),
    Option(
        "retries",
        "2",
        "integer",
        "How often a step is tried again: after a temporaryFail exit code, or when its worker died. "
        "A permanentFail is never tried again.",
    ),
    Option(
        "retry_delay", "10", "float", "Seconds before the first retry of a step; twice as long before each further."
    ),
    Option(
        "reuse",
        "False",
        "boolean",
        "Use the outputs of an earlier run of the same tool on the same inputs again, unless the document says no "
        "(WorkReuse).",
    ),
    Option(
        "reuse_folder",
        "",
        "string",
        "Where outputs for reuse are kept. All workers must see the same files there. "
        "Empty: the folder cwl/reuse in the Airflow home.",
        "/srv/cwl/reuse",
    ),
    Option(
        "scatter_max_tasks",
        "100",
        "integer",
        "Most task instances of a scattered step. With more elements, each task instance runs a batch of them side "
        "by side: at most 250, as long as this many task instances are enough for that. Never more than [core] "
        "max_map_length.",
    ),
    Option(
        "pool",
        "",
        "string",
        "The Airflow pool of steps; each takes as many of its slots as its ResourceRequirement asks for cores. Give it "
        "as many slots as the workers have cores. Empty: default_pool.",
        "cwl_cores",
    ),
    Option(
        "max_pool_slots",
        "16",
        "integer",
        "Most slots of the pool that a step takes: Airflow never starts a task that needs more than there are.",
    ),
    Option(
        "queues",
        "",
        "string",
        "Which steps go to which queue (Celery): a JSON list, the first entry counts whose minimum of cores and ram "
        "(MiB) the step's ResourceRequirement reaches. Empty: [operators] default_queue for all.",
        '[{"queue": "highmem", "ram": 64000}, {"queue": "large", "cores": 16}]',
    ),
    Option(
        "kubernetes_resources",
        "False",
        "boolean",
        "Ask Kubernetes for the cores and the memory of a step's ResourceRequirement (executor_config, pod_override). "
        "Needs the extra: cwl-ui-plugin[kubernetes].",
    ),
    Option(
        "mpi_config_file",
        "",
        "string",
        "How this site starts MPI programs, for tools with cwltool:MPIRequirement: a file as for cwltool's "
        "--mpi-config-file. Empty: mpirun -n.",
        "/etc/cwl/mpi.yml",
    ),
    Option(
        "allow_weak_keys",
        "False",
        "boolean",
        "Accept RSA keys under 2048 bits, for old clients. Such keys can be broken.",
    ),
    Option(
        "jwt_backend_user",
        "",
        "string",
        "The Airflow user that signed triggers act as: it must exist, be active, and may trigger the Dag. Empty: a "
        'valid signature alone is enough, for every Dag; the run is of whoever is logged in, or of "signed trigger".',
        "portal",
    ),
    Option(
        "require_dag_id",
        "False",
        "boolean",
        "Refuse signed triggers whose token does not say for which Dag it is (claim dag_id).",
    ),
    Option(
        "allowed_hosts",
        "",
        "string",
        "Names that this server may be called by, besides that in [api] base_url, separated by commas; * in a name "
        "stands for anything, * alone for every name. Addresses and names without a dot are always allowed. Where this "
        "and base_url are empty, no name is refused.",
        "airflow.hospital.example,*.internal.example",
    ),
    Option("require_exp", "False", "boolean", "Refuse signed triggers whose token has no time of expiry (exp)."),
    Option("report_poll_interval", "1.0", "float", "Seconds between two looks for reports and stops that are due."),
    Option(
        "keep_reports_days",
        "7",
        "float",
        "How many days delivered reports are kept, for the page that shows them. Those that wait are kept until they "
        "are delivered.",
    ),
    Option(
        "keep_intermediate",
        "False",
        "boolean",
        "Keep the intermediate files of a run until it has succeeded. Without, each is removed as soon as no task can "
        "read it any more; a task that is cleared then needs the tasks cleared, too, whose files it reads.",
    ),
    Option(
        "keep_failed_days",
        "7",
        "float",
        "How many days the intermediate files of a run that failed are kept, so that its failed tasks can be cleared "
        "and go on. Those of a run that succeeded or was stopped are removed at once.",
    ),
    Option(
        "keep_logs_days",
        "30",
        "float",
        "How many days it is kept what the commands of a run that succeeded printed and used, for its page.",
    ),
    Option(
        "keep_outputs_days",
        "0",
        "float",
        "How many days after their delivery outputs are kept of runs that are gone from Airflow's list (deleted, or "
        "airflow db clean). 0: for ever.",
    ),
    Option(
        "keep_listed_outputs_days",
        "0",
        "float",
        "How many days after its end the outputs of a run are kept that is in Airflow's list; its page says when they "
        "were removed. 0: as long as it is in the list.",
    ),
    Option(
        "keep_uploads_days",
        "30",
        "float",
        "How many days an uploaded input is kept that no run in Airflow's list names, after its upload or since it was "
        "named last. 0: for ever.",
    ),
    Option(
        "keep_reuse_days",
        "90",
        "float",
        "How many days outputs are kept for reuse after they were used last. 0: for ever.",
    ),
    Option(
        "keep_versions_days",
        "180",
        "float",
        "How many days a version of a workflow is kept that was replaced or deleted, unless a run in Airflow's list "
        "is pinned to it. 0: for ever.",
    ),
    Option("stop_grace", "5", "float", "Seconds that a command gets between SIGTERM and SIGKILL."),
)
