"""What happens to runs beside their tasks: reports, how long what they leave is kept, stops."""

from __future__ import annotations

from cwl_ui_plugin.options.option import Option

KEEPING = (
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
        "keep_wes_workflows_days",
        "180",
        "float",
        "How many days a workflow is kept that a WES client sent with a run, after it was sent last, unless a run in "
        "Airflow's list is of it, or somebody has given it a schedule, a preset or another version. 0: for ever.",
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
