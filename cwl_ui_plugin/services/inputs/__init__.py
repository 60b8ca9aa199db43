"""Input files: uploaded, browsed, and who may use which."""
