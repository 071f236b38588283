"""Where the registry keeps what it is told: in this process, in a SQLite file, or in a Redis that replicas share."""
