"""Executors of Airflow that the plugin brings: Slurm."""
