"""The names that Dag files of CWL-Airflow import, for cwl-ui-plugin; each is imported when it is asked for."""

from __future__ import annotations


def __getattr__(name: str) -> object:
    """Import what a Dag file asks for."""
    import cwl_airflow_parser

    try:
        return getattr(cwl_airflow_parser, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
