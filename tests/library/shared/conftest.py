"""One S3 server for all tests of shared workflows; a prefix and machines for each."""

from support.shared_workflows import machines as machines
from support.shared_workflows import workflows_server as workflows_server
