"""The methods of the protocol, by group; each group lists its own."""
