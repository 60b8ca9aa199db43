"""Five works by the plugin, by other CWL runners, and by a bare Airflow: wall and CPU seconds, and memory."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bare_airflow
import common
import costs
import cwl_airflow
import peer_conclusions
import peer_works
import psutil
import servers
import workflows
from common import median, say
from costs import Cost
from peer_conclusions import Figures, Ours
from peer_works import Work

TOIL_VERSION, STREAMFLOW_VERSION = "9.6.0", "0.2.0rc3"
RUN, FIRST, ALONE = "`cwl-ui-plugin run`", "the same, the first time", "its run alone"
CWLTOOL, TOIL, STREAMFLOW = "cwltool", f"Toil {TOIL_VERSION}", f"StreamFlow {STREAMFLOW_VERSION}"
PREDECESSOR, BARE = "CWL-Airflow 1.2.11: the run alone", "bare Airflow: the run alone"
REST_SECONDS = 15
FEW = 20
TEXT = (
    "The plugin runs on a server that is there (SQLite, LocalExecutor, settings of `cwl-ui-plugin standalone`). "
    "`cwl-ui-plugin run` uploads the workflow, runs it, and fetches its outputs; the first time the workflow is "
    "compiled, and nothing is known of how long its elements take. The run alone is what Airflow has of it: from the "
    "trigger to the run's end, and the server's processes only. cwltool (`--parallel`), Toil, StreamFlow start, run, "
    "and end. CWL-Airflow has its defaults (Airflow 2.1.4, SQLite, SequentialExecutor); its one tool is the step of a "
    "workflow. The bare Airflow has the same version and settings as the plugin's; its tasks are the same commands as "
    "BashOperators, without CWL's files, checksums and checks.\n\n"
    "CPU seconds and memory are those of all processes: of the command with all that it starts, and of the server with "
    "all that it starts, with what it does at rest meanwhile. Memory is the most that they have together at a time "
    "(what several processes share counts once), looked up ten times a second or, where looking takes long, less often."
)


def main() -> None:
    options = common.options(__doc__, elements=(200, "how many elements the larger scatter has"))
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder:
        works = peer_works.works(Path(folder), FEW, options.elements)
        ours, figures = _side_by_side(Path(folder), works, options.repeat)
        say("bare Airflow")
        figures[BARE] = _bare(Path(folder), works, options.repeat, ours)
        say("CWL-Airflow")
        figures[PREDECESSOR] = _predecessor(Path(folder), works, options.repeat)
    header = ["", "", *figures]
    conclusion = peer_conclusions.conclusion(works, figures, ours, {CWLTOOL, TOIL, STREAMFLOW}, {PREDECESSOR, BARE})
    text = f"{TEXT}\n\n{common.table(header, _rows(works, figures))}\n\n{conclusion}"
    common.write_section(options.page, "peers", text, options.repeat)


def _rows(works: list[Work], figures: Figures) -> list[list[str]]:
    return [
        [work.title, measure, *(shown(of[work.key][number]) for of in figures.values())]
        for work in works
        for number, (measure, shown) in enumerate(peer_conclusions.MEASURES.items())
    ]


def _side_by_side(folder: Path, works: list[Work], repeat: int) -> tuple[Ours, Figures]:
    """Measure the plugin and what is started by a command, in turns."""
    names = [RUN, FIRST, ALONE, CWLTOOL, TOIL, STREAMFLOW]
    commands = _commands(folder)
    figures: Figures = {name: {} for name in names}
    with servers.airflow() as airflow:
        server = psutil.Process(airflow.server.pid)
        ours = Ours(RUN, ALONE)
        for work in works:
            say(f"{work.title}, the first time")
            figures[FIRST][work.key] = _by_plugin(airflow, server, work, folder, ours)[0]
            turns: dict[str, list[Cost]] = {name: [] for name in names if name != FIRST}
            for number in range(repeat):
                say(f"{work.title}, {number + 1}")
                whole, alone = _by_plugin(airflow, server, work, folder, ours)
                turns[RUN].append(whole)
                turns[ALONE].append(alone)
                for name, command in commands.items():
                    turns[name].append(_by_command(command, work, folder))
            for name, measured in turns.items():
                figures[name][work.key] = _median(measured)
        ours.rest = costs.at_rest(server, REST_SECONDS)
    return ours, figures


def _commands(folder: Path) -> dict[str, tuple[list[str | Path], dict[str, str]]]:
    """Return the other runners' commands, without the document, and their environments."""
    toil = common.peer("toil", f"toil[cwl]=={TOIL_VERSION}")
    streamflow = common.peer("streamflow", f"streamflow=={STREAMFLOW_VERSION}")
    output = ["--quiet", "--outdir", folder / "out"]

    def environment(programs: Path) -> dict[str, str]:  # they start programs of their own, and write into the home
        return {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(folder)}

    own = Path(sys.executable).parent
    return {
        CWLTOOL: ([own / "cwltool", "--no-container", "--parallel", *output], environment(own)),
        TOIL: ([toil / "toil-cwl-runner", "--no-container", *output], environment(toil)),
        STREAMFLOW: ([streamflow / "cwl-runner", *output], environment(streamflow)),
    }


def _by_command(command: tuple[list[str | Path], dict[str, str]], work: Work, folder: Path) -> Cost:
    words, environment = command
    cost, _server = costs.of_command([*words, work.document, work.job], env=environment, cwd=folder)
    shutil.rmtree(folder / "out")
    return cost


def _by_plugin(
    airflow: servers.Airflow, server: psutil.Process, work: Work, folder: Path, ours: Ours
) -> tuple[Cost, Cost]:
    """Run a work by the plugin; return what it took, and what the server took of that."""
    command: list[str | Path] = [Path(sys.executable).parent / "cwl-ui-plugin", "run", "--quiet"]
    command += ["--url", airflow.server.url, "--outdir", folder / "out", work.document, work.job]
    environment = {**os.environ, "CWL_UI_TOKEN": airflow.server.token()}
    whole, served = costs.of_command(command, server, env=environment)
    assert served
    shutil.rmtree(folder / "out")
    run = _newest_run(airflow, work.document.stem)
    ours.instances[work.key] = airflow.instances(run["dag_id"], run["dag_run_id"])
    return whole, served._replace(wall=servers.moment(run["end_date"]) - servers.moment(run["queued_at"]))


def _newest_run(airflow: servers.Airflow, name: str) -> dict[str, Any]:
    """Return the newest run of a Dag whose name begins so."""
    wanted = {"order_by": "-id", "limit": 1, "dag_id_prefix_pattern": name}
    run: dict[str, Any] = airflow.client.get("/api/v2/dags/~/dagRuns", params=wanted).json()["dag_runs"][0]
    return run


def _bare(folder: Path, works: list[Work], repeat: int, ours: Ours) -> dict[str, Cost]:
    with bare_airflow.running(folder, {work.key: work.dag_file() for work in works}) as (airflow, server):

        def run(work: Work) -> float:
            path = airflow.run(work.key).path
            data = airflow.client.get(path).json()
            return servers.moment(data["end_date"]) - servers.moment(data["queued_at"])

        run(works[0])  # warms up
        figures = _measured(works, repeat, server, run)
        ours.bare_rest = costs.at_rest(server, REST_SECONDS)
    return figures


def _predecessor(folder: Path, works: list[Work], repeat: int) -> dict[str, Cost]:
    tool, _job = workflows.wc_workflow(folder)  # it runs no document that is a tool
    documents = {work.key: tool if work.key == "tool" else work.document for work in works}
    with cwl_airflow.running(folder, list(documents.values())) as airflow:
        server = psutil.Process(airflow.pid)
        return _measured(works, repeat, server, lambda work: airflow.run(documents[work.key].stem, work.job_object()))


def _measured(works: list[Work], repeat: int, server: psutil.Process, run: Callable[[Work], float]) -> dict[str, Cost]:
    figures = {}
    for work in works:
        say(work.title)
        figures[work.key] = _median([costs.of_server(server, lambda work=work: run(work)) for _ in range(repeat)])
    return figures


def _median(measured: list[Cost]) -> Cost:
    return Cost(*(median(values) for values in zip(*measured, strict=True)))


if __name__ == "__main__":
    main()
