"""Starting runs: checked, signed, granted, pinned to a version."""
