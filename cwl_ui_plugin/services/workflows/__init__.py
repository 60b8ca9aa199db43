"""The stored workflows: uploads, lists, versions, examples."""
