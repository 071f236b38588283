"""The life of external servers: wanted, resolved, started, reached, served, and stopped."""
