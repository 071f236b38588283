"""The mesh: agents that register what they can do, and find each other by that."""
