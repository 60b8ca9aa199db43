"""The version: that of cwl-ui-plugin, which has the same code in it."""

__version__ = "0.1.0"
