"""What a stack asks of its exposure profile, held against the table."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra.exposure.row import Cannot, Cell, Outside, Row, Sets
from infra.exposure.table import TABLE
from infra.exposure.wishes import Profile, Wishes


@dataclass(frozen=True)
class _Field:
    """A key of a stack file, the cell that answers for it, and what the stack asks (None: nothing)."""

    key: str
    cell: Callable[[Row], Cell]
    asked: Callable[[Wishes], object]


_FIELDS = (
    _Field("exposure.host", lambda row: row.host, lambda wishes: wishes.host),
    _Field("exposure.certificateArn", lambda row: row.certificate, lambda wishes: wishes.certificate),
    _Field("exposure.timeoutSeconds", lambda row: row.timeouts, lambda wishes: wishes.timeout_seconds),
    _Field("exposure.idleTimeoutSeconds", lambda row: row.idle_timeout, lambda wishes: wishes.idle_timeout_seconds),
    _Field("exposure.affinitySeconds", lambda row: row.affinity, lambda wishes: wishes.affinity_seconds),
    _Field("exposure.affinitySeconds", lambda row: row.affinity_lifetime, lambda wishes: wishes.affinity_seconds),
    _Field("exposure.bodySize", lambda row: row.body_size, lambda wishes: wishes.body_size),
    _Field(
        "exposure.rateLimit.requestsPerSecond",
        lambda row: row.rate_limit,
        lambda wishes: wishes.rate_limit and wishes.rate_limit.requests_per_second,
    ),
    _Field(
        "exposure.rateLimit.burst", lambda row: row.burst, lambda wishes: wishes.rate_limit and wishes.rate_limit.burst
    ),
    _Field("exposure.allowFrom", lambda row: row.allow_from, lambda wishes: ", ".join(wishes.allow_from) or None),
    _Field("servers.<name>.path", lambda row: row.prefix, lambda wishes: ", ".join(wishes.prefixes) or None),
    _Field("mongodb.admin.host", lambda row: row.host, lambda wishes: wishes.admin_host),
    _Field(
        "mongodb.admin.allowFrom",
        lambda row: row.allow_from,
        lambda wishes: ", ".join(wishes.admin_allow_from) or None,
    ),
)


def check(profile: Profile, wishes: Wishes) -> list[str]:
    """Everything that `profile` cannot do of what is asked: one message each, with field, value and remedy."""
    row = TABLE[profile]
    problems = [*_refused(profile, row, wishes), *_out_of_range(profile, row, wishes)]
    if wishes.tls and isinstance(row.tls, Cannot):
        problems.append(f"tls.mode: profile {profile} cannot do this, because {row.tls.because}; use {row.tls.use}")
    elif wishes.tls and wishes.host is None and wishes.admin_host is None:
        problems.append("exposure.host: nothing is set, but a certificate needs a host name; set exposure.host")
    if row.kind == "httpRoute" and wishes.gateway is None:
        problems.append(
            f"exposure.gateway: nothing is set, but profile {profile} attaches its routes to a Gateway; "
            "set exposure.gateway.name and exposure.gateway.namespace"
        )
    if wishes.admin_host is not None and not wishes.admin_allow_from:
        problems.append(
            f"mongodb.admin.host: {wishes.admin_host} would be open to the world; "
            "set mongodb.admin.allowFrom to the addresses that may open it"
        )
    silent, idle = int(wishes.values()["timeout"]), int(wishes.values()["idle"])
    if isinstance(row.idle_timeout, Sets) and silent > idle:
        problems.append(
            f"exposure.timeoutSeconds: {silent} is above the load balancer's idle timeout of {idle}; "
            f"set exposure.timeoutSeconds to at most {idle}, or raise exposure.idleTimeoutSeconds"
        )
    return problems


def ingress_annotations(
    profile: Profile, wishes: Wishes, *, allow_from: tuple[str, ...] = (), prefix: str = "/"
) -> dict[str, str]:
    """The annotations of an Ingress of this profile, whose routes lie under `prefix`.

    It is open to `allow_from` only, when that is not empty.
    """
    row = TABLE[profile]
    values = wishes.values(allow_from=allow_from, prefix=prefix)
    filled = {"kubernetes.io/ingress.class": row.class_name or ""} if row.class_by_annotation else {}
    filled |= row.base
    for cell in _asked(row, wishes, allow_from=allow_from, prefix=prefix):
        filled |= {key: template.format_map(values) for key, template in cell.ingress.items()}
    return filled


def service_annotations(profile: Profile, wishes: Wishes, *, name: str, namespace: str) -> dict[str, str]:
    """What every Service behind the Exposure `name` must carry: some controllers read these there only."""
    row = TABLE[profile]
    values = {**wishes.values(), "name": name, "namespace": namespace}
    filled: dict[str, str] = {}
    for cell in _asked(row, wishes):
        filled |= {key: template.format_map(values) for key, template in cell.service.items()}
    return filled


def prerequisites(profile: Profile, wishes: Wishes) -> list[str]:
    """What must be done once, outside the stack, for this profile to serve it."""
    row = TABLE[profile]
    cells = [row.streaming, row.tls] if wishes.tls else [row.streaming]
    return [cell.what for cell in cells if isinstance(cell, Outside)]


def _refused(profile: Profile, row: Row, wishes: Wishes) -> Iterator[str]:
    for field in _FIELDS:
        cell, asked = field.cell(row), field.asked(wishes)
        if asked is not None and isinstance(cell, Cannot):
            yield (f"{field.key}: {asked}: profile {profile} cannot do this, because {cell.because}; use {cell.use}")


def _out_of_range(profile: Profile, row: Row, wishes: Wishes) -> Iterator[str]:
    asked = {field.key: field.asked(wishes) for field in _FIELDS}
    for key, (least, most) in row.limits.items():
        value = asked[key]
        if isinstance(value, int) and not least <= value <= most:
            yield f"{key}: {value}: profile {profile} takes {least} to {most}; set it within"


def _asked(row: Row, wishes: Wishes, *, allow_from: tuple[str, ...] = (), prefix: str = "/") -> Iterator[Sets]:
    """The cells that apply: the defaults always, limits only where the stack asks for them."""
    cells = [row.timeouts, row.idle_timeout, row.affinity, row.streaming, row.body_size, row.draining]
    if wishes.tls:
        cells.append(row.tls)
    if wishes.certificate is not None:
        cells.append(row.certificate)
    if wishes.rate_limit is not None:
        cells.append(row.rate_limit)
    if allow_from:
        cells.append(row.allow_from)
    if prefix != "/":
        cells.append(row.prefix)
    yield from (cell for cell in cells if isinstance(cell, Sets))
