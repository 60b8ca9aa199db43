"""How the tasks of a run are made, placed, tried again and reused."""

from __future__ import annotations

from cwl_ui_plugin.options.option import Option

TASKS = (
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
        "Where outputs for reuse are kept. All workers must see the same files there; with intermediate_storage, "
        "that has them instead. "
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
        "scatter_batch_seconds",
        "3",
        "float",
        "How long a batch of a scattered step should last whose elements took less than a second each in the last run "
        "of that step: so many share a task instance. 0: each has its own, up to scatter_max_tasks.",
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
        "max_handed_on_size",
        "1073741824",
        "integer",
        "Most bytes of JSON that a task hands on: its output values, each File with where it is, its name, size and "
        "checksum, some 300 bytes. A task that reads them has four times as much in memory; one with more fails with a "
        "message that says so. What has more than a mebibyte is no XCom, but a file below tmp_folder, or an object of "
        "intermediate_storage; users' own tasks in Dag files get XComs of 128 MiB at most. A Directory counts as one, "
        "unless its listing is handed on.",
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
)
