"""Whether any node can ever run a job: said before it waits in the queue for a day."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from cwl_ui_plugin.executors.commands import Node, Slurm
from cwl_ui_plugin.executors.errors import SlurmUnavailable
from cwl_ui_plugin.executors.needs import Needs

KEEP_SECONDS = 60.0


class Capacity:
    """The nodes of the cluster, asked for once a minute."""

    def __init__(self, slurm: Slurm, clock: Callable[[], float] = time.monotonic) -> None:
        self._slurm = slurm
        self._clock = clock
        self._nodes: list[Node] = []
        self._default = ""
        self._until = float("-inf")

    def misfit(self, needs: Needs) -> str | None:
        """Return why no node has what a job asks for; None where one has, or where that can't be told."""
        if self._clock() >= self._until:
            try:
                self._nodes, self._default = self._slurm.nodes(), self._slurm.default_partition()
            except SlurmUnavailable:
                return None
            self._until = self._clock() + KEEP_SECONDS
        return why_not(needs, self._nodes, self._default)


def why_not(needs: Needs, nodes: Iterable[Node], default_partition: str) -> str | None:
    """Return why none of these nodes can run a job; Slurm itself says what else it does not like."""
    wanted = [name for name in (needs.partition or default_partition).split(",") if name]
    found = [node for node in nodes if node.partition in wanted]
    ram = needs.ram or 0
    if not found or any(node.ram >= ram and node.cpus >= needs.cpus for node in found):
        return None
    where = f"no node of the partition {' or '.join(wanted)}"
    most_ram, most_cpus = max(node.ram for node in found), max(node.cpus for node in found)
    if ram > most_ram:
        return (
            f"It asks for {ram} MiB of memory, and {where} has more than {most_ram} MiB. Lower ramMin of the step's "
            "ResourceRequirement, or choose another partition (slurm_partition in [cwl] task_rules)."
        )
    if needs.cpus > most_cpus:
        return (
            f"It asks for {needs.cpus} cores, and {where} has more than {most_cpus}. Lower coresMin of the step's "
            "ResourceRequirement, or choose another partition (slurm_partition in [cwl] task_rules)."
        )
    return f"It asks for {needs.cpus} cores and {ram} MiB of memory, and {where} has both."
