"""Whether all machines share folders, or nothing but HTTP and an object store: chosen here, and nowhere else.

``[cwl] intermediate_storage`` chooses. Without it ``tmp_folder``, ``workflows_folder`` and what is below them are the
same files for API server, Dag processor and workers. With it each machine has folders of its own, which may be empty
at first: values between tasks travel as objects of that store, and what the control of a run needs goes to the API
server, whose files are the truth.
"""

from __future__ import annotations

from cwl_ui_plugin import config


def shares_folders() -> bool:
    """Whether all machines see the same files; costs a look into the configuration."""
    return not config.intermediate_storage()
