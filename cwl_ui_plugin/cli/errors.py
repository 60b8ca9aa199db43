"""What the command says when it can't do its work: the errors of the client library; ``code`` is the exit code.

1 is any error, 2 a call that makes no sense, 33 a workflow that can't be run, as every CWL runner says it.
"""

from cwl_ui_client.errors import CwlUiError as CliError
from cwl_ui_client.errors import RunFailed, ServerError, Unreachable, UnsupportedWorkflow, UsageError

__all__ = ["CliError", "RunFailed", "ServerError", "Unreachable", "UnsupportedWorkflow", "UsageError"]
