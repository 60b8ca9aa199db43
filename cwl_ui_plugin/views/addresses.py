"""Addresses that lead out of the app that serves the pages. Those of the pages themselves come from ``url_for``."""

from __future__ import annotations

from flask import Blueprint, request

from cwl_ui_plugin import addresses


def init_addresses(blueprint: Blueprint) -> None:
    """Give the templates ``addresses`` and ``rooted``: ``rooted(addresses.airflow_dag(dag_id))``."""

    @blueprint.app_context_processor
    def known() -> dict[str, object]:
        return {"addresses": addresses, "rooted": rooted}


def rooted(path: str) -> str:
    """Return the address of a path on Airflow's API server, which may be served below a prefix."""
    root = str(request.script_root)
    for mount in addresses.MOUNTS:
        root = root.removesuffix(mount)
    return root + path
