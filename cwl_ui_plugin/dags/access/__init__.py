"""What a run was granted, and what its tasks may do and read."""
