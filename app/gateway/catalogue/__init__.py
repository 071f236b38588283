"""All servers' tools, prompts and resources: as one server, each by itself, or as chosen."""
