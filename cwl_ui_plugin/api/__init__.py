"""The FastAPI apps: the REST API of the plugin and the endpoint of its predecessors."""
