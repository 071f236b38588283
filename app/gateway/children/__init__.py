"""Child processes and their one owner."""
