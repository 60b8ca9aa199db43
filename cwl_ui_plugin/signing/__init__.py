"""Keys, signing and verification: pure functions over PyJWT and cryptography."""
