"""Who is asking and what they may do: the user bridge, permissions, the JWT auth backend."""
