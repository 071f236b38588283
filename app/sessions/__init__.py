"""Sessions of the older protocol era: what they are, and where they live."""
