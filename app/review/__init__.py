"""Reads what `pulumi preview --json` would do and says what a reviewer should know. No Pulumi needed."""

from app.review.parse import UnreadablePreview
from app.review.report import Review, review

__all__ = ["Review", "UnreadablePreview", "review"]
