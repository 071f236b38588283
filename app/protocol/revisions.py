"""What each protocol revision has and lacks, as data: nothing else in the program compares version strings."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Revision:
    """One protocol revision; every field but `name` says whether a feature exists in it."""

    name: str
    handshake: bool
    """`initialize`, sessions, GET streams, requests from the server to the client."""
    batches: bool = False
    tool_annotations: bool = True
    audio: bool = True
    progress_messages: bool = True
    completion_capability: bool = True
    structured_output: bool = True
    titles: bool = True
    resource_links: bool = True
    elicitation: bool = True
    icons: bool = True
    url_elicitation: bool = True
    sampling_tools: bool = True
    primed_streams: bool = False
    """A server-sent event stream begins with an empty event, so that the client can always resume."""

    @property
    def stateless(self) -> bool:
        """Each request stands alone: per-request metadata, result types, multi-round-trip requests."""
        return not self.handshake


R_2024_11_05 = Revision(
    "2024-11-05",
    handshake=True,
    tool_annotations=False,
    audio=False,
    progress_messages=False,
    completion_capability=False,
    structured_output=False,
    titles=False,
    resource_links=False,
    elicitation=False,
    icons=False,
    url_elicitation=False,
    sampling_tools=False,
)
R_2025_03_26 = Revision(
    "2025-03-26",
    handshake=True,
    batches=True,
    structured_output=False,
    titles=False,
    resource_links=False,
    elicitation=False,
    icons=False,
    url_elicitation=False,
    sampling_tools=False,
)
R_2025_06_18 = Revision("2025-06-18", handshake=True, icons=False, url_elicitation=False, sampling_tools=False)
R_2025_11_25 = Revision("2025-11-25", handshake=True, primed_streams=True)
R_2026_07_28 = Revision("2026-07-28", handshake=False)

REVISIONS = {r.name: r for r in (R_2024_11_05, R_2025_03_26, R_2025_06_18, R_2025_11_25, R_2026_07_28)}
HANDSHAKE_REVISIONS = tuple(r for r in REVISIONS.values() if r.handshake)
STATELESS_REVISIONS = tuple(r for r in REVISIONS.values() if r.stateless)
NEWEST = R_2026_07_28
NEWEST_WITH_HANDSHAKE = R_2025_11_25
HEADERLESS = R_2025_03_26
"""What a request without an `MCP-Protocol-Version` header, and without a session, is taken to speak."""


def negotiate(requested: str) -> Revision:
    """The revision to answer an `initialize` with: the one asked for, else the newest that has a handshake."""
    revision = REVISIONS.get(requested)
    return revision if revision is not None and revision.handshake else NEWEST_WITH_HANDSHAKE
