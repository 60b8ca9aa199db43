"""The tasks of a scattered step: which elements there are, running some of them, and putting their outputs together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypedDict

from cwl_ui_plugin import config
from cwl_ui_plugin.cwl.readers import chosen_values
from cwl_ui_plugin.dags import element_times, names
from cwl_ui_plugin.dags.handing_on import in_memory
from cwl_ui_plugin.dags.operators.steps import StepOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from cwl_ui_plugin.cwl.engine.run_settings import Values


class Batch(TypedDict):
    """Elements of one task instance, by their indices; ``label`` names them for people."""

    first: int
    last: int
    label: str


MAX_BATCH = 250
"""Elements; cwltool's executor takes longer for each the more it has, and a retry begins a batch anew."""


class CwlScatterOperator(StepOperator):
    """Before a scattered step: which elements there are, and which task instance runs which of them."""

    ui_color = "#e8f0fa"

    def execute(self, context: Context) -> list[Batch]:
        """Return a batch for each task instance."""
        from cwl_ui_plugin.cwl.engine import scattering

        with self.reported(context), self.leased(context):
            if names.SKIPPED in self.pulled(context):
                return []  # a task that is skipped has no list that another could be mapped over
            labels = scattering.element_labels(
                self.document.compiled, self.document.source, self.step, self.source_values(context)
            )
        return batches(labels, self._most_batches(len(labels)))

    def _most_batches(self, count: int) -> int:
        """Return how many task instances there may be: as usual where all elements can run at the same time anyway."""
        if count <= config.parallelism():
            return most_batches(count)
        times = element_times.known(self.document.compiled, self.step.document)
        wanted = times.batches(count) if times else None
        if wanted is None:
            return most_batches(count)
        return min(most_batches(count), max(wanted, _least_batches(count)))


class CwlElementsOperator(StepOperator):
    """Some elements of a scattered step; one mapped task instance for each batch of them."""

    ui_color = "#f4f0fa"

    def __init__(self, *, batch: Batch, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch

    def execute(self, context: Context) -> dict[str, object]:
        """Return outputs and status of each element."""
        from cwl_ui_plugin.cwl.engine import scattering

        context[names.ELEMENTS_LABEL] = self.batch["label"]  # type: ignore[literal-required]
        chosen = range(self.batch["first"], self.batch["last"] + 1)
        with self.running(context) as (task, settings):
            values = self._chosen_fetched(self.source_values(context, chosen), chosen)
            self.noted.inputs = chosen_values(values, self.step.by_element, chosen)
            settings = self.checking_inputs(settings, self.noted.inputs)
            result = scattering.run_elements(
                self.document.compiled, self.document.source, self.step, values, chosen, task.folder, settings
            )
            made = self._staging.put(result.results)
            xcom = self.handing_on(context, self.with_statistics(made, result.summary))
        is_skipped = all(status == "skipped" for _outputs, status in made.values())
        return self.end(context, xcom, is_skipped)

    def _chosen_fetched(self, values: Values, chosen: range) -> Values:
        """Return values with the files on this machine that the chosen elements read."""
        here = self.fetched(chosen_values(values, self.step.by_element, chosen))
        found: Values = {}
        for name, (value, *rest) in values.items():
            is_part = name in self.step.by_element and isinstance(value, list)
            own: Any = here[name]
            found[name] = [[*value[: chosen.start], *own, *value[chosen.stop :]] if is_part else own, *rest]
        return found


class CwlCollectOperator(StepOperator):
    """After a scattered step: the outputs of all its elements, put together as CWL says."""

    ui_color = "#e8f0fa"

    def __init__(self, *, elements_task: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.elements_task = elements_task

    def execute(self, context: Context) -> dict[str, object]:
        """Return the values of the step's outputs."""
        from cwl_ui_plugin.cwl.engine import scattering

        with self.reported(context), self.leased(context):
            pulled = context["ti"].xcom_pull(task_ids=self.elements_task) or []
            batches = pulled if isinstance(pulled, list) else [pulled]
            results: dict[str, Any] = {}
            taken = []
            for batch in batches:
                elements = in_memory(self.handed_on(context, batch))
                results.update(elements)
                ran = sum(status != "skipped" for _outputs, status in elements.values())
                taken.append((ran, batch.get(names.STATISTICS_KEY) or {}))
            self.check_handed_on(results)
            values, _status = scattering.gather(
                self.document.compiled, self.document.source, self.step, self.source_values(context), results
            )
            xcom = self.handing_on(context, values)
        element_times.keep(self.document.compiled, self.step.document, taken)
        is_skipped = bool(results) and all(status == "skipped" for _outputs, status in results.values())
        return self.end(context, xcom, is_skipped)


def most_batches(count: int) -> int:
    """Return how many task instances a number of elements gets: one for each, or enough to keep all workers busy.

    More batches than can run at the same time would only add the cost of their tasks; twice as many even out batches
    that take longer than others.
    """
    most = config.scatter_max_tasks()
    wanted = max(2 * config.parallelism(), _least_batches(count))
    return most if count <= most else min(most, wanted)


def _least_batches(count: int) -> int:
    return math.ceil(count / MAX_BATCH)


def batches(labels: Sequence[str], most: int) -> list[Batch]:
    """Divide elements into at most ``most`` batches of neighbours, as even as can be."""
    count = min(len(labels), most)
    bounds = [len(labels) * number // count for number in range(count + 1)] if count else [0]
    return [
        Batch(
            first=first,
            last=after - 1,
            label=labels[first] if after - first == 1 else f"{labels[first]} … {labels[after - 1]}",
        )
        for first, after in pairwise(bounds)
    ]
