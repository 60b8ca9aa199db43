"""What is seen of runs: states, logs, resources, comparisons."""
