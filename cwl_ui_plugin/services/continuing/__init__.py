"""Going on after a failure: in the same run, or in a new one of a mended version of the workflow."""
