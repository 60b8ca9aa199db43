"""Tells whether the object stores that an Airflow home names can be used: by Airflow, in a process of its own."""

from __future__ import annotations

import logging
import os
import sys


def main() -> int:
    """Print how each place is; return 1 where one can't be used."""
    from cwl_ui_plugin import config
    from cwl_ui_plugin.services.observing.places import tried

    try:
        found = tried()
    except config.ConfigError as error:
        print(f"  {error}")
        return 1
    for told in found:
        what = "can be looked into and written to" if told.place.is_written else "can be looked into"
        print(f"  {told.name}: {told.problem or what}")
    return 1 if any(told.problem for told in found) else 0


if __name__ == "__main__":
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"  # Connections are in Airflow's database, too
    logging.disable(logging.WARNING)  # what is printed says it
    sys.exit(main())
