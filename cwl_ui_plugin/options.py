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
    is_secret: bool = False
    """Airflow hides its value, and takes it from a command or a secrets backend, too (``_cmd``, ``_secret``)."""


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
        "lineage_max_hashed_size",
        "1073741824",
        "integer",
        "Largest input, in bytes, that the API server reads for its checksum after its run has ended, so that runs are "
        "found that made or used the same file elsewhere. Larger ones are found by where they are. 0: none is read.",
    ),
    Option(
        "max_job_size",
        "4194304",
        "integer",
        "Most characters of a job as text (YAML or JSON). Calls that carry jobs may have four bytes for each of them, "
        "and never less than 16 MiB. Reading YAML takes a second of the API server for each million, JSON much less.",
    ),
    Option(
        "batch_max_rows",
        "10000",
        "integer",
        "Most rows of a sheet of samples, each of which becomes a run of the workflow.",
    ),
    Option(
        "batch_max_active",
        "16",
        "integer",
        "How many runs of a batch there may be at a time, where whoever makes it says nothing else.",
    ),
    Option(
        "compile_timeout",
        "300",
        "integer",
        "Seconds after which the validation of an uploaded workflow is given up.",
    ),
    Option(
        "fetch_hosts",
        "",
        "string",
        "Hosts that this site fetches from: workflows from registries and addresses, files that jobs name by http, "
        "https or drs. Names separated by commas; * stands for anything, name:8080 or name:* for other ports than 80 "
        "and 443. "
        "Patterns open public addresses only; hosts in the own network are named as they are, this machine and "
        "link-local addresses by their address. Empty: nothing is fetched.",
        "dockstore.org, *.ebi.ac.uk, data.internal.example:8080",
    ),
    Option(
        "fetch_timeout",
        "60",
        "float",
        "Seconds that fetching a workflow, or an answer of a registry, may take in all.",
    ),
    Option(
        "fetch_input_timeout",
        "14400",
        "float",
        "Seconds that fetching one input file from the network may take in all.",
    ),
    Option(
        "allow_network",
        "False",
        "boolean",
        "The former switch: True, where fetch_hosts is empty, is fetch_hosts = *, every public host.",
    ),
    Option(
        "trs_published",
        "",
        "string",
        "Workflows that anybody may read without a login, with all their files, at the registry below /ga4gh/trs/v2: "
        "names of Dags separated by commas, with * for anything. Clients of registries usually send no login. Empty: "
        "none, the registry shows users of Airflow the workflows that they may see.",
        "count-lines, public-*",
    ),
    Option(
        "organization_name",
        "",
        "string",
        "Who runs this server, as GA4GH services tell it. Empty: the name of the server.",
        "Core Facility Genomics",
    ),
    Option(
        "organization_url",
        "",
        "string",
        "The page of that organization. Empty: the address of the server.",
        "https://genomics.example.org",
    ),
    Option(
        "contact_url",
        "",
        "string",
        "Where users of GA4GH services turn to: a page, or mailto: with an address.",
        "mailto:help@genomics.example.org",
    ),
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
        "task_rules",
        "",
        "string",
        "Which tasks go to which executor, queue or pool, and how they run: a JSON list of rules, each with conditions "
        "(when: dag_id, tag, step, tool, container, profile, user, cores, ram, gpus, network, scatter) and what it "
        "sets (set: executor, queue, pool, priority_weight, weight_rule, execution_timeout, time_limit_headroom, "
        "run_as_user, retries, slurm_partition, slurm_account, slurm_qos, slurm_constraint, slurm_time, "
        "max_active_runs, max_active_tasks). For each thing to set the first rule counts whose conditions all hold; it "
        "goes before pool, queues and retries.",
        '[{"when": {"cores": 16}, "set": {"executor": "CeleryExecutor", "queue": "large"}}]',
    ),
    Option(
        "kubernetes_resources",
        "False",
        "boolean",
        "Ask Kubernetes for the cores and the memory of a step's ResourceRequirement (executor_config, pod_override). "
        "Needs the extra: cwl-ui-plugin[kubernetes].",
    ),
    Option(
        "slurm_extra_ram",
        "512",
        "float",
        "MiB that a job of the SlurmExecutor asks for besides its step's ResourceRequirement: what Airflow's own "
        "processes of a task take. See docs/slurm.md.",
    ),
    Option(
        "slurm_max_jobs",
        "0",
        "integer",
        "How many jobs the SlurmExecutor of a scheduler may have with Slurm at a time, waiting or running; [core] "
        "parallelism bounds the tasks of all executors together. 0: as many as that.",
    ),
    Option(
        "slurm_poll_seconds",
        "1",
        "float",
        "How often the SlurmExecutor asks Slurm (squeue, one call for all jobs) while something happens.",
    ),
    Option(
        "slurm_poll_most_seconds",
        "20",
        "float",
        "How often it asks where nothing happens, or Slurm does not answer: the interval grows to this.",
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
        "unsigned_trigger_user",
        "",
        "string",
        "The Airflow user that calls of /api/experimental without login and signature act as, for closed networks: "
        "whoever reaches the server has that user's rights there. It counts only while no jwt_backend_public_key is "
        "set. Empty: such calls are refused.",
        "portal",
    ),
    Option(
        "uploads_without_login",
        "False",
        "boolean",
        "Let calls of /api/experimental that are signed, or act as unsigned_trigger_user, upload workflows, as far as "
        "the Airflow user they act as may. Workflows are code that workers run; a key for triggers alone decides no "
        "more than inputs.",
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
        "and base_url are empty, no name is refused, but for calls that act as unsigned_trigger_user.",
        "airflow.hospital.example,*.internal.example",
    ),
    Option("require_exp", "False", "boolean", "Refuse signed triggers whose token has no time of expiry (exp)."),
    Option(
        "metrics_token",
        "",
        "string",
        "A secret of at least 16 characters that Prometheus sends as a bearer token to read /cwl/metrics. Empty: only "
        "users of Airflow who may see the report connection may read that page.",
        is_secret=True,
    ),
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
        "keep_fetched_days",
        "30",
        "float",
        "How many days an input that was fetched from the network is kept after it was used last. 0: for ever.",
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
    Option(
        "notifiers",
        "",
        "string",
        "By which ways users may be told that their runs have ended, as JSON: a name for each, with the class of a "
        "notifier of Airflow and its arguments. {{ cwl.subject }}, {{ cwl.text }}, {{ cwl.html }}, {{ cwl.link }}, "
        "{{ cwl.state }} and {{ cwl.address }} are filled in. See docs/notifications.md. Empty: by none.",
        '{"mail": {"class": "airflow.providers.smtp.notifications.smtp.SmtpNotifier", "args": '
        '{"to": "{{ cwl.address }}", "subject": "{{ cwl.subject }}", "html_content": "{{ cwl.html }}"}}}',
        is_secret=True,
    ),
    Option("stop_grace", "5", "float", "Seconds that a command gets between SIGTERM and SIGKILL."),
)
