"""What OpenLineage is told of tasks, through Airflow's provider for it, where that is installed and configured.

Nothing of OpenLineage is imported unless the provider asks: it finds the methods of ``noting.TellsLineage``.
"""
