"""How files go from task to task: see ``interface``."""
