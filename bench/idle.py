"""What a server costs that has nothing to do, by component, and how soon it starts a run then."""

from __future__ import annotations

import time

import common
import psutil
import servers
import workflows
from common import median, say, seconds
from servers import Airflow

SETTLING_SECONDS = 30
MAX_CPU_SECONDS = 4.8
"""In a minute, all together: 0.08 of a core."""
COMPONENTS = ("scheduler", "api-server", "dag-processor", "triggerer")
PAUSE_SECONDS = 12
"""Until nothing reminds the server of the run before."""
OTHER = "the rest: janitor, guard, and what starts the components"


def main() -> None:
    options = common.options(__doc__, seconds=(330, "how long the server is watched"))
    with servers.airflow() as airflow:
        time.sleep(SETTLING_SECONDS)
        say("watching a server at rest")
        before, began = _taken(airflow), time.monotonic()
        time.sleep(options.seconds)
        minutes = (time.monotonic() - began) / 60
        after = _taken(airflow)
        rates = {name: (after[name] - before[name]) / minutes for name in after}
        waits = _waits(airflow, options.repeat)
    total = sum(rates.values())
    rows = [[name, f"{rate:.1f}", ""] for name, rate in rates.items()]
    rows.append(["all", f"{total:.1f}", f"{MAX_CPU_SECONDS}: {common.verdict(total, MAX_CPU_SECONDS)}"])
    text = common.table(["CPU seconds per minute", "figure", "target"], rows)
    text += f"\n\nFrom the answer to a trigger to the start of the run, after a rest: {seconds(median(waits))}, "
    text += f"at most {seconds(max(waits))}."
    common.write_section(options.page, "idle", text, options.repeat)


def _taken(airflow: Airflow) -> dict[str, float]:
    processes = {name: airflow.process(name) for name in COMPONENTS}
    taken = {name: servers.all_cpu_seconds(process) for name, process in processes.items()}
    everything = servers.all_cpu_seconds(psutil.Process(airflow.server.pid))
    return {**taken, OTHER: everything - sum(taken.values())}


def _waits(airflow: Airflow, repeat: int) -> list[float]:
    """Return how long runs waited, each of which was triggered when the server was at rest."""
    folder = airflow.server.home / "cwl" / "inputs"
    document, _job = workflows.wc(folder)
    dag_id = airflow.upload(document)
    job = {"file": {"class": "File", "location": "text.txt"}}
    waits = []
    for _ in range(repeat):
        time.sleep(PAUSE_SECONDS)
        run = airflow.run(dag_id, job)
        waits.append(run.wall - run.seconds)
    return waits


if __name__ == "__main__":
    main()
