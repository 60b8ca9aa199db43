"""One tool, a chain of five and a scatter of twenty, by the plugin and by other CWL runners."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import common
import cwl_airflow
import servers
import workflows
from common import median, say, seconds

TOIL = "toil[cwl]==9.6.0"
DOCUMENTS = {
    "tool": "one tool (wc)",
    "chain": "chain of 5",
    "scatter": "scatter of 20 (echo)",
}
Documents = dict[str, tuple[Path, Path]]
Times = dict[str, list[float]]


def main() -> None:
    options = common.options(__doc__)
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder:
        place = Path(folder)
        documents = {
            "tool": workflows.wc(place),
            "chain": workflows.chain(place, 5),
            "scatter": workflows.scatter(place, 20),
        }
        commands = _command_lines(place, documents, options.repeat)
        predecessor = _predecessor(place, documents, options.repeat)
    rows = {**commands, "CWL-Airflow 1.2.11 (Airflow 2.1.4): the run alone": predecessor}
    header = ["wall time", *DOCUMENTS.values()]
    text = (
        "The plugin runs on a server that is there (SQLite, LocalExecutor, settings of `cwl-ui-plugin standalone`). "
        "`cwl-ui-plugin run` uploads the workflow, runs it, and fetches its outputs; the run alone is Airflow's "
        "part. The others start, run, and end. CWL-Airflow has its defaults: SQLite, SequentialExecutor; its one tool "
        "is the step of a workflow.\n\n"
        + common.table(header, [[name, *_cells(times)] for name, times in rows.items()])
        + "\n\n"
        + _conclusion(rows)
    )
    common.write_section(options.page, "peers", text, options.repeat)


def _cells(times: Times) -> list[str]:
    return [seconds(median(times[name])) for name in DOCUMENTS]


def _conclusion(rows: dict[str, Times]) -> str:
    chain = {name: median(times["chain"]) for name, times in rows.items()}
    ours, *others = chain
    behind = [name for name in others[1:] if chain[name] <= chain[ours]]
    state = "reached" if not behind else f"missed: {', '.join(behind)}"
    return f"Target: `cwl-ui-plugin run` ahead of all others for the chain: {state}."


def _command_lines(folder: Path, documents: Documents, repeat: int) -> dict[str, Times]:
    """Measure what is started by a command, in turns."""
    binaries = Path(sys.executable).parent
    toil = common.peer("toil", TOIL) / "toil-cwl-runner"
    with servers.airflow() as airflow:
        ours = [binaries / "cwl-ui-plugin", "run", "--quiet", "--url", airflow.server.url]
        ours += ["--token", airflow.server.token(), "--outdir", folder / "out"]
        runners: dict[str, Callable[[Path, Path], object]] = {
            "cwl-ui-plugin run": lambda document, job: common.run([*ours, document, job]),
            "cwltool": lambda document, job: common.run(
                [binaries / "cwltool", "--quiet", "--no-container", "--outdir", folder / "out", document, job]
            ),
            f"toil-cwl-runner {TOIL.rpartition('=')[2]}": lambda document, job: common.run(
                [toil, "--quiet", "--no-container", "--outdir", folder / "out", document, job],
                cwd=folder,
                env={**os.environ, "PATH": f"{toil.parent}:{os.environ['PATH']}"},  # it starts programs of its own
            ),
        }
        times: dict[str, Times] = {name: {key: [] for key in DOCUMENTS} for name in [*runners, "alone"]}
        for key, (document, job) in documents.items():
            common.run([*ours, document, job])  # the first upload compiles it
            for number in range(repeat):
                say(f"{key}, {number + 1}")
                for name, runner in runners.items():
                    times[name][key].append(common.timed(runner, document, job))
                times["alone"][key].append(_newest_run(airflow, document))
    ours_name, *others = runners
    alone = {"cwl-ui-plugin: the run alone": times["alone"]}
    return {ours_name: times[ours_name], **alone, **{name: times[name] for name in others}}


def _newest_run(airflow: servers.Airflow, document: Path) -> float:
    """Return the seconds of the newest run of a document, from being asked for to its end."""
    answer = airflow.client.get(
        "/api/v2/dags/~/dagRuns", params={"order_by": "-id", "limit": 1, "dag_id_prefix_pattern": document.stem}
    )
    run: dict[str, Any] = answer.json()["dag_runs"][0]
    return servers.moment(run["end_date"]) - servers.moment(run["queued_at"])


def _predecessor(folder: Path, documents: Documents, repeat: int) -> Times:
    say("CWL-Airflow")
    documents = {**documents, "tool": workflows.wc_workflow(folder)}  # it runs no document that is a tool
    times: Times = {key: [] for key in DOCUMENTS}
    with cwl_airflow.running(folder, [document for document, _job in documents.values()]) as airflow:
        for key, (document, job_file) in documents.items():
            job = json.loads(job_file.read_text())
            if "file" in job:
                job["file"]["path"] = str(folder / job["file"]["path"])
            times[key] = [airflow.run(document.stem, job) for _ in range(repeat)]
    return times


if __name__ == "__main__":
    main()
