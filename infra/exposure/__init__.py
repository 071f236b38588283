"""What each way into the cluster can do, as data. Free of Pulumi, so that the config can ask it too."""

from infra.exposure.row import Already, Cannot, Outside, Row, Sets
from infra.exposure.rules import check, ingress_annotations, prerequisites, service_annotations
from infra.exposure.table import TABLE
from infra.exposure.wishes import Profile, RateLimit, Wishes

__all__ = [
    "TABLE",
    "Already",
    "Cannot",
    "Outside",
    "Profile",
    "RateLimit",
    "Row",
    "Sets",
    "Wishes",
    "check",
    "ingress_annotations",
    "prerequisites",
    "service_annotations",
]
