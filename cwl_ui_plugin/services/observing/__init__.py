"""How the plugin itself does: checks for whoever runs it, metrics for Prometheus and for Airflow's Stats."""
