"""Everything that belongs into the wheel is declared: a sub-package that is missing would only be missed by users."""

from __future__ import annotations

import configparser
from pathlib import Path

from setuptools import find_packages

ROOT = Path(__file__).resolve().parents[2]


def test_setup_cfg_lists_every_sub_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    declared = set(config["options"]["packages"].split())
    found = set(find_packages(str(ROOT), include=["cwl_ui_plugin", "cwl_ui_plugin.*"]))
    elsewhere = {f"cwl_ui_plugin.{name}" for name in ("examples", "static", "templates")}
    assert declared == found | elsewhere | {"cwl_ui_client"}
