"""Kubernetes quantities as numbers, so that they can be compared and added."""

import re
from decimal import Decimal

CPU_PATTERN = r"^(?:[1-9]\d*m|\d+(?:\.\d{1,3})?)$"
MEMORY_PATTERN = r"^[1-9]\d*(?:\.\d+)?(?:Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$"

_FACTORS = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
    "Pi": Decimal(2**50),
}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)([A-Za-z]*)")


def amount(quantity: str) -> Decimal:
    """The number behind a quantity: `500m` is 0.5, `1Ki` is 1024."""
    match = _QUANTITY.fullmatch(quantity)
    if match is None or match.group(2) not in _FACTORS:
        raise ValueError(f"not a Kubernetes quantity: {quantity!r}")
    return Decimal(match.group(1)) * _FACTORS[match.group(2)]
