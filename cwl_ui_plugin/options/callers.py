"""Who may call, and by which name: keys, signed triggers, hosts."""

from __future__ import annotations

from cwl_ui_plugin.options.option import Option

CALLERS = (
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
)
