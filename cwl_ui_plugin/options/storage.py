"""Folders of the site, and how large may be what users send."""

from __future__ import annotations

from cwl_ui_plugin.options.option import Option

STORAGE = (
    Option(
        "workflows_folder",
        "",
        "string",
        "Where uploaded workflows are kept. Empty: the folder cwl/workflows in the Airflow home. "
        "API server, Dag processor and workers must see the same files there, unless workflows_storage names a place.",
        "/srv/cwl/workflows",
    ),
    Option(
        "workflows_storage",
        "",
        "string",
        "The place of an object store that speaks S3 where uploaded workflows are kept for all machines, as "
        "s3://connection@bucket/prefix; the Connection may write there. workflows_folder is each machine's own then: "
        "it has copies, and may be lost. Empty: workflows are in workflows_folder, which all machines see.",
        "s3://aws_workflows@airflow/workflows",
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
        "storage_roots",
        "",
        "string",
        "Places of object stores that the files of everybody's jobs may come from, separated by commas: "
        "scheme://connection@bucket/prefix with the id of the Connection that is used for it; without one, what the "
        "worker itself may do. Jobs name files there as s3://bucket/prefix/key. Empty: nothing is read from such "
        "stores.",
        "s3://aws_reads@sequencing/2026, s3://aws_genomes@references",
    ),
    Option(
        "uploads_storage",
        "",
        "string",
        "The place of an object store that speaks S3 where files lie that users upload in forms, as "
        "s3://connection@bucket/prefix; the Connection may write there. Each is for the user who sent it. Empty: they "
        "lie below inputs_folder.",
        "s3://aws_uploads@sequencing/uploads",
    ),
    Option(
        "uploads_origin",
        "",
        "string",
        "How addresses of that bucket begin for browsers, which then send files there themselves; the bucket must "
        "allow that (CORS). Empty: browsers send to the API server, which passes on what comes.",
        "https://sequencing.s3.eu-central-1.amazonaws.com",
    ),
    Option(
        "outputs_folder",
        "",
        "string",
        "Outputs of a run go to <outputs_folder>/<dag_id>/<run_id>, if its job names no output_folder. "
        "A place of an object store, scheme://connection@bucket/prefix as in storage_roots, will do, too. "
        "Empty: the folder cwl/outputs in the Airflow home.",
        "/srv/cwl/outputs",
    ),
    Option(
        "output_roots",
        "",
        "string",
        "Folders that a job may name by absolute paths as its output_folder or tmp_folder, separated by colons. "
        "Relative ones are below outputs_folder/<dag_id> and tmp_folder/<dag_id>. No folder here may contain, or be "
        "in, a folder of workflows, inputs, intermediate files or reuse. Places of object stores, as in storage_roots, "
        "may be among them for output_folder.",
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
    Option(
        "intermediate_storage",
        "",
        "string",
        "A place of an object store, scheme://connection@bucket/prefix as in storage_roots, by which workers without "
        "common folders hand files on from step to step, and outputs for reuse. tmp_folder and workflows_folder are "
        "each machine's own then, and workers reach the API server by [core] execution_api_server_url. Empty: all "
        "machines see the same files in these folders.",
        "s3://aws_cwl@intermediate/production",
    ),
    Option(
        "storage_timeout",
        "120",
        "float",
        "Seconds that an object store may be silent while outputs, or files between steps, are written to it; each "
        "part of 8 MiB counts anew.",
    ),
    Option(
        "intermediate_cache_size",
        "53687091200",
        "integer",
        "With intermediate_storage, how many bytes of fetched files each machine keeps for the tasks that come next; "
        "what was not used for the longest time goes first. What running tasks read does not count.",
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
        "max_fetched_files",
        "1000",
        "integer",
        "Most files from the network and from object stores that the job of a run may name; each counts once, and so "
        "does each object below a Directory.",
    ),
    Option(
        "max_fetched_size",
        "107374182400",
        "integer",
        "How many bytes the files from the network of a run may have together; each may have max_input_size.",
    ),
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
)
