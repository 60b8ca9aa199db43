"""What a server costs that has nothing to do, by component, and how soon it starts a run then."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import bare_airflow
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
    options = common.options(__doc__, seconds=(120, "how long each server is watched"))
    with servers.airflow() as airflow:
        say("watching a server at rest")
        rates = _rates(lambda: _taken(airflow), options.seconds)
        waits = _waits(airflow, options.repeat)
    with tempfile.TemporaryDirectory() as folder, bare_airflow.running(Path(folder), {}) as (_airflow, process):
        say("watching a bare Airflow at rest")
        (bare,) = _rates(lambda: {"all": servers.all_cpu_seconds(process)}, options.seconds).values()
    total = sum(rates.values())
    rows = [[name, f"{rate:.1f}", ""] for name, rate in rates.items()]
    rows.append(["all", f"{total:.1f}", f"{MAX_CPU_SECONDS}: {common.verdict(total, MAX_CPU_SECONDS)}"])
    rows.append(["an Airflow of the same version and settings without the plugin", f"{bare:.1f}", ""])
    rows.append(["all of it with the plugin, beside that", f"{total / bare:.2f} x", ""])
    text = common.table(["CPU seconds per minute", "figure", "target"], rows)
    text += f"\n\nEach was watched for {options.seconds} s. "
    text += f"From the answer to a trigger to the start of the run, after a rest: {seconds(median(waits))}, "
    text += f"at most {seconds(max(waits))}."
    common.write_section(options.page, "idle", text, options.repeat)


def _rates(taken: Callable[[], dict[str, float]], seconds: float) -> dict[str, float]:
    """Return the CPU seconds per minute of what ``taken`` tells the CPU seconds of, once that has settled."""
    time.sleep(SETTLING_SECONDS)
    before, began = taken(), time.monotonic()
    time.sleep(seconds)
    minutes, after = (time.monotonic() - began) / 60, taken()
    return {name: (after[name] - before[name]) / minutes for name in after}


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
