"""What a task asks for becomes options of sbatch, and nothing else does."""

from __future__ import annotations

import pytest

from cwl_ui_plugin.executors.errors import NeedsError
from cwl_ui_plugin.executors.needs import Needs, needs_of


@pytest.mark.parametrize(
    ("asked", "options"),
    [
        ({}, ["--cpus-per-task=1"]),
        ({"cpus": 2.5, "ram": 300.2}, ["--cpus-per-task=3", "--mem=301M"]),
        ({"seconds": 61}, ["--cpus-per-task=1", "--time=2"]),
        ({"gpus": 2, "cpus": 0}, ["--cpus-per-task=1", "--gres=gpu:2"]),
        (
            {"partition": "long,short", "account": "lab", "qos": "high", "constraint": "intel&[rack1|rack2]"},
            [
                "--cpus-per-task=1",
                "--partition=long,short",
                "--account=lab",
                "--qos=high",
                "--constraint=intel&[rack1|rack2]",
            ],
        ),
        ({"partition": None}, ["--cpus-per-task=1"]),
    ],
)
def test_options(asked: dict[str, object], options: list[str]) -> None:
    assert needs_of({"slurm": asked}).arguments() == options


@pytest.mark.parametrize("config", [None, {}, {"pod_override": object()}, "text"])
def test_who_asks_for_nothing_gets_one_core(config: object) -> None:
    assert needs_of(config) == Needs()


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("lots", "must be an object"),
        ({"mem": 1}, "'mem' is not known; known are cpus, ram"),
        ({"cpus": "4"}, "cpus must be a number"),
        ({"cpus": True}, "cpus must be a number"),
        ({"ram": -1}, "ram must be a number"),
        ({"ram": float("nan")}, "ram must be a number"),
        ({"partition": "a b"}, "partition must be a name"),
        ({"partition": "--wrap=id"}, "partition must be a name"),
        ({"account": "a\n#SBATCH --uid=0"}, "account must be a name"),
        ({"constraint": "-x"}, "constraint must be a name"),
        ({"qos": 7}, "qos must be a name"),
    ],
)
def test_what_can_not_be_asked_for_is_refused(asked: object, told: str) -> None:
    with pytest.raises(NeedsError, match=told):
        needs_of({"slurm": asked})
