"""CWL without Airflow: load, validate, compile to a plan, check a job, run one step."""
