"""The files that runs were given and made, as things: what each is, which run made it, which runs used it."""
