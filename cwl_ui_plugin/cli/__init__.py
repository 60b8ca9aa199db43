"""The command ``cwl-ui-plugin``."""
