"""Dealing with others that are slow, wrong or gone: one module a means, none of which knows what it protects."""

from app.resilience.breaker import CircuitBreaker, CircuitOpen
from app.resilience.bucket import TokenBucket
from app.resilience.cache import Kept, StaleCache
from app.resilience.flight import SingleFlight
from app.resilience.retry import Backoff, retrying

__all__ = [
    "Backoff",
    "CircuitBreaker",
    "CircuitOpen",
    "Kept",
    "SingleFlight",
    "StaleCache",
    "TokenBucket",
    "retrying",
]
