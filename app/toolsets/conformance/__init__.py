"""What the official conformance suite needs of a server: the names and texts are the suite's, not ours."""

from app.toolsets.conformance import asking, changes, contents, jobs, prompts, resources, rounds

__all__ = ["asking", "changes", "contents", "jobs", "prompts", "resources", "rounds"]
