"""Rules across fields. Each is a small pure function; `check` runs those whose sections could be read."""

from infra.config.rules import exposure, gateway, images, quota, stores, workloads
from infra.config.rules.registry import check

__all__ = ["check", "exposure", "gateway", "images", "quota", "stores", "workloads"]
