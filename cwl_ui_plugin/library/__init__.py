"""The store of uploaded workflows: versions, plans, sources."""
