"""The REST API of CWL-Airflow 1.2, the later of the predecessors, beside the endpoint that both have."""
