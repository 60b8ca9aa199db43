"""The version: that of cwl-ui-plugin from the same repository."""

__version__ = "0.1.0"
