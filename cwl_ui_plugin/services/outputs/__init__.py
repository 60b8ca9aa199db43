"""What runs deliver: files, folders, previews, archives."""
