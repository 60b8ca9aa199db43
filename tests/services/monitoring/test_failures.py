"""What failed in a run, grouped, and what is advised."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cwl_ui_plugin.services.monitoring import failure_advice
from cwl_ui_plugin.services.monitoring.failures import failures_of, message_of
from cwl_ui_plugin.services.run_models import StepState


def step(index: int = -1, **more: object) -> StepState:
    made = StepState(
        "align", "Align", index, "failed", "failed", "Align", 1, None, None, 3.0, error="Step align: it ended badly"
    )
    element = f"sample{index}.fastq" if index >= 0 else None
    return replace(made, element=element, **more)  # type: ignore[arg-type]


def told(index: int, reason: str) -> StepState:
    command = ("bwa", f"sample{index}.fastq")
    error = f"Step align: the command of element {index} exited with exit code 1: {' '.join(command)}"
    return step(index, error=error, command=command, exit_code=1, stderr=reason.format(f"sample{index}.fastq"))


def test_elements_that_failed_of_the_same_are_together() -> None:
    failed = [told(index, "disk\n{} is broken" if index % 2 else "no memory for {}") for index in range(6)]
    groups = failures_of(failed, [*failed, step(6, state="success")])
    assert [[one.map_index for one in group.members] for group in groups] == [[0, 2, 4], [1, 3, 5]]
    assert [group.of for group in groups] == [7, 7]


def test_names_are_bounded() -> None:
    (group,) = failures_of([told(index, "x") for index in range(50)], [])
    assert (len(group.named), group.more) == (20, 30)


def test_a_message_does_not_repeat_the_command() -> None:
    assert message_of(told(3, "")) == "Step align: the command of element 3 exited with exit code 1"
    full = step(error="Step a: the command exited with 1: cat x (the disk is full)", command=("cat", "x"))
    assert message_of(full) == "Step a: the command exited with 1 (the disk is full)"
    assert message_of(step(error="other", command=("cat",))) == "other"


@pytest.mark.parametrize(
    ("more", "advised"),
    [
        ({"exit_code": 137, "asked_ram": 256.0, "peak_memory_bytes": 300 << 20}, "asked for 256 MiB, and used 300 MiB"),
        ({"exit_code": 1, "stderr": "terminate called: std::bad_alloc"}, "Memory ran out"),
        ({"exit_code": 1, "stderr": "cp: error writing 'x': No space left on device"}, "The disk is full"),
        ({"error": "Step a: docker: manifest unknown"}, "container image is not there"),
        ({"exit_code": 127}, "command was not found"),
        ({"exit_code": 1, "stderr": "sh: 1: bwa: not found"}, "command was not found"),
        ({"exit_code": 1, "stderr": "ModuleNotFoundError: No module named 'numpy'"}, "A library"),
        ({"exit_code": 126}, "may not be executed"),
        ({"exit_code": 139}, "segmentation fault"),
        ({"exit_code": 143}, "SIGTERM"),
        ({"exit_code": 1, "stderr": "open /etc/x: Permission denied"}, "only into its own folder"),
        ({"exit_code": 1, "stderr": "curl: (6) Could not resolve host: x"}, "NetworkAccess"),
        ({"exit_code": 1, "stderr": "x.bam.bai: No such file or directory"}, "secondary file"),
        ({"error": "the command did not end within its time limit of 3 seconds: sleep 9"}, "ToolTimeLimit"),
        ({"error": "The task took longer than 3 seconds (execution_timeout, from ...)"}, "task_rules"),
        ({"exit_code": 2}, "mostly says what it did not like"),
    ],
)
def test_advice_fits_what_happened(more: dict[str, object], advised: str) -> None:
    assert advised in failure_advice.advice(step(**more))
