"""A real Slurm on this machine: Debian's munge, slurmctld, and a slurmd for each of two nodes, on free ports.

It runs without systemd, as root or as the tests' user, in a folder of its own. There are no cgroups: Slurm follows
processes by their parents, which is less than a cluster does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.airflow_server import START_SECONDS, Server, wait_for
from support.scale_out import free_port, is_ready, start_airflow

from cwl_ui_plugin.cli.components import Components
from cwl_ui_plugin.cli.home import Home

CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldPort={port}
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,bf_interval=1
MpiDefault=none
ReturnToService=2
KillWait=20
SlurmdTimeout=5
MaxJobCount={max_jobs}
MinJobAge={job_age}
SlurmdParameters=config_overrides
{nodes}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=short Nodes=n2 MaxTime=10 State=UP
"""
NODES = {"n1": (4, 8000), "n2": (2, 4000)}
"""Cores and mebibytes of each node."""
PARALLELISM = 24
"""How many tasks Airflow has at a time."""


@dataclass
class SlurmCluster:
    """The cluster: its daemons can be ended in any way, and be started again."""

    folder: Path
    ports: dict[str, int]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """What Slurm's commands need to find it."""
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def run(self, *command: str) -> str:
        """Run a command of Slurm's; return what it prints."""
        done = subprocess.run(command, env={**os.environ, **self.environment}, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def start(self, name: str) -> None:
        """Start ``munged``, ``slurmctld``, or the ``slurmd`` of the node of that name."""
        commands = {
            "munged": [
                "munged",
                "--foreground",
                "--force",
                f"--socket={self.folder}/munge/socket",
                f"--key-file={self.folder}/munge/key",
                f"--pid-file={self.folder}/munge/pid",
                f"--seed-file={self.folder}/munge/seed",
                f"--log-file={self.folder}/munge/log",
            ],
            "slurmctld": ["slurmctld", "-D"],
        }
        command = commands.get(name, ["slurmd", "-D", "-N", name])
        environment = {**os.environ, **self.environment, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        with (self.folder / f"{name}.out").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """End a daemon; jobs on its node go on."""
        process = self.processes.pop(name)
        process.send_signal(number)
        process.wait(timeout=60)

    def save(self, job: str) -> None:
        """Have the controller write down how a job is, which it does seconds later: what it has not written is lost."""
        path = self.folder / "state" / "job_state"
        before = path.stat().st_mtime_ns
        self.run("scontrol", "update", f"jobid={job}", "admincomment=saved")
        wait_for(lambda: path.exists() and path.stat().st_mtime_ns != before, 30, "the state of jobs on the disk")

    def states(self) -> dict[str, str]:
        """Return the state of each node; nothing where the controller does not answer."""
        done = subprocess.run(
            ["sinfo", "--Node", "--noheader", "--partition=all", "--format=%N %T"],
            env={**os.environ, **self.environment},
            capture_output=True,
            text=True,
        )
        return dict(line.split() for line in done.stdout.splitlines()) if done.returncode == 0 else {}

    def is_ready(self) -> bool:
        """Whether all nodes take jobs."""
        states = self.states()
        return set(states) == set(NODES) and all(state in ("idle", "mixed", "allocated") for state in states.values())


def program(name: str) -> str:
    """Return the path of a program; the test is skipped where it is not installed, which is an error with CI=true."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None and os.environ.get("CI") != "true":
        pytest.skip(f"there is no {name}; see tests/system-packages.sh")
    assert found, f"{name} is not installed"
    return found


@contextmanager
def slurm_cluster(folder: Path, max_jobs: int = 10000, job_age: int = 300) -> Iterator[SlurmCluster]:
    """Start Slurm; yield it once its nodes take jobs, and end what it has started."""
    for name in ("munged", "slurmctld", "slurmd", "sbatch"):
        program(name)
    for name in ("munge", "state", *(f"spool.{node}" for node in NODES)):
        (folder / name).mkdir(parents=True, mode=0o700)
    (folder / "munge" / "key").write_bytes(os.urandom(1024))
    (folder / "munge" / "key").chmod(0o400)
    ports = {name: free_port() for name in ("slurmctld", *NODES)}
    host = socket.gethostname()
    nodes = "\n".join(
        f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[name]} CPUs={cpus} RealMemory={ram}"
        for name, (cpus, ram) in NODES.items()
    )
    user = "root" if os.geteuid() == 0 else os.environ["USER"]
    limits = {"max_jobs": max_jobs, "job_age": job_age}
    text = CONFIGURATION.format(host=host, user=user, folder=folder, port=ports["slurmctld"], nodes=nodes, **limits)
    (folder / "slurm.conf").write_text(text)
    cluster = SlurmCluster(folder, ports)
    try:
        cluster.start("munged")
        wait_for(lambda: (folder / "munge" / "socket").exists(), 30, "munged")
        for name in ("slurmctld", *NODES):
            cluster.start(name)
        wait_for(cluster.is_ready, 60, f"the nodes of Slurm (see {folder})")
        yield cluster
    finally:
        with suppress(Exception):
            cluster.run("scancel", "--full", f"--user={user}")
            wait_for(lambda: not cluster.run("squeue", "--noheader").strip(), 40, "the end of all jobs")
        for name in reversed(list(cluster.processes)):
            cluster.kill(name, signal.SIGTERM)


@dataclass(frozen=True)
class Site:
    """Airflow with a LocalExecutor and the SlurmExecutor."""

    server: Server
    components: Components
    slurm: SlurmCluster
    schedulers: list[subprocess.Popen[bytes]]

    def restart_scheduler(self) -> None:
        """Kill the scheduler with SIGKILL, and start another one."""
        airflow = str(Path(sys.executable).with_name("airflow"))
        self.schedulers[-1].kill()
        self.schedulers[-1].wait()
        self.schedulers.append(self.components.start("scheduler", [airflow, "scheduler"]))

    def jobs(self, dag_id: str, states: str = "all") -> list[tuple[str, str, str]]:
        """Return ``(number, state, node)`` of a Dag's jobs that Slurm knows; ``states`` as for ``squeue``."""
        options = ["--array", "--noheader", f"--states={states}", "--format=%i|%T|%N|%j"]
        rows = (line.split("|") for line in self.slurm.run("squeue", *options).splitlines())
        return [(row[0], row[1], row[2]) for row in rows if row[3].startswith(f"{dag_id}.")]


@contextmanager
def slurm_site(folder: Path, rules: str, **variables: str) -> Iterator[Site]:
    """Start Slurm, and Airflow on SQLite that uses it; yield both once a run can be triggered."""
    folder.mkdir(exist_ok=True)
    home = Home(folder / "home", "simple")
    with slurm_cluster(folder / "slurm") as cluster:
        port = free_port()
        environment = {
            **home.prepare("127.0.0.1", port, []),
            **cluster.environment,
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor,cwl_ui_plugin.executors.slurm.SlurmExecutor",
            "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "86400",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "10",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
            "AIRFLOW__CWL__CONTAINER_ENGINE": "none",
            "AIRFLOW__CWL__TASK_RULES": rules,
            "AIRFLOW__CWL__SLURM_POLL_MOST_SECONDS": "2",
            **variables,
        }
        components = Components(home.logs, environment)
        try:
            scheduler = start_airflow(components, port)
            server = Server(f"http://127.0.0.1:{port}", home.user, home.password, os.getpid(), home.folder, "simple")
            wait_for(lambda: is_ready(components, server, 0), START_SECONDS, f"Airflow in {folder}")
            yield Site(server, components, cluster, [scheduler])
        finally:
            components.stop()
