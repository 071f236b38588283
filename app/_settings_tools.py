"""What the toolsets `map`, `war`, `search` and `documents` read from the environment; a part of `app.settings`."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field
from pydantic_settings import BaseSettings

from app._settings_types import HttpUrl, Names, OptionalHttpUrl, OptionalPath, OptionalSecret, Seconds, env

_MIB = 1024 * 1024


class ToolSettings(BaseSettings):
    """How much these toolsets keep, and the services and stores that they ask."""

    # The maps of the toolset "map".
    map_ttl: float = Field(
        86_400.0,
        gt=0,
        le=31_536_000,
        validation_alias=env("MCP_MAP_TTL"),
        description="seconds a map stays after it was last changed or read, up to a year (31536000)",
    )
    map_max_maps: int = Field(
        10_000, ge=1, validation_alias=env("MCP_MAP_MAX_MAPS"), description="maps kept at once, 1 or more"
    )
    map_max_markers: int = Field(
        2_000, ge=1, le=20_000, validation_alias=env("MCP_MAP_MAX_MARKERS"), description="markers a map, 1 to 20000"
    )
    map_max_layer_bytes: int = Field(
        _MIB,
        ge=1024,
        le=64 * _MIB,
        validation_alias=env("MCP_MAP_MAX_LAYER_BYTES"),
        description="bytes of GeoJSON a layer, 1024 to 67108864",
    )
    map_max_bytes: int = Field(
        8 * _MIB,
        ge=1024,
        le=256 * _MIB,
        validation_alias=env("MCP_MAP_MAX_BYTES"),
        description="bytes a map, 1024 to 268435456",
    )

    # The war of the toolset "war".
    war_url: HttpUrl = Field(
        "https://api-hellhub-collective.koyeb.app/api",
        validation_alias=env("MCP_WAR_URL"),
        description="the address of the HellHub collective's API, http:// or https://",
    )
    war_timeout: Seconds = Field(
        10.0, validation_alias=env("MCP_WAR_TIMEOUT"), description="seconds a call may take, retries included"
    )
    war_cache_seconds: Seconds = Field(
        30.0, validation_alias=env("MCP_WAR_CACHE_SECONDS"), description="seconds an answer is used again"
    )
    war_stale_seconds: float = Field(
        3600.0,
        ge=0,
        le=604_800,
        validation_alias=env("MCP_WAR_STALE_SECONDS"),
        description="seconds an old answer may stand in while the API is away, 0 to 604800",
    )
    war_max_bytes: int = Field(
        8 * _MIB,
        ge=1024,
        le=256 * _MIB,
        validation_alias=env("MCP_WAR_MAX_BYTES"),
        description="bytes of the largest answer that is taken, 1024 to 268435456",
    )

    # The web of the toolset "search".
    search_searxng_url: OptionalHttpUrl = Field(
        None,
        validation_alias=env("MCP_SEARCH_SEARXNG_URL"),
        description="the address of a SearXNG instance, http:// or https://",
    )
    search_brave_key: OptionalSecret = Field(
        None, validation_alias=env("MCP_SEARCH_BRAVE_KEY"), description="a subscription token of the Brave Search API"
    )
    search_brave_key_file: OptionalPath = Field(
        None,
        validation_alias=env("MCP_SEARCH_BRAVE_KEY_FILE"),
        description="a readable file with the subscription token in it",
    )
    search_brave_url: HttpUrl = Field(
        "https://api.search.brave.com",
        validation_alias=env("MCP_SEARCH_BRAVE_URL"),
        description="the address of the Brave Search API, or of a proxy for it",
    )
    search_timeout: Seconds = Field(
        10.0, validation_alias=env("MCP_SEARCH_TIMEOUT"), description="seconds a search may take, retries included"
    )
    search_cache_seconds: Seconds = Field(
        300.0, validation_alias=env("MCP_SEARCH_CACHE_SECONDS"), description="seconds results and pages are used again"
    )
    search_rate: float = Field(
        60.0,
        gt=0,
        le=60_000,
        validation_alias=env("MCP_SEARCH_RATE"),
        description="searches a minute, and as many pages, that one process asks for; up to 60000",
    )
    search_allowed_domains: Names = Field(
        (),
        validation_alias=env("MCP_SEARCH_ALLOWED_DOMAINS"),
        description="domains separated by commas, with their subdomains; none means all",
    )
    search_blocked_domains: Names = Field(
        (),
        validation_alias=env("MCP_SEARCH_BLOCKED_DOMAINS"),
        description="domains separated by commas, with their subdomains, that are never shown or fetched",
    )
    search_fetch: bool = Field(
        True, validation_alias=env("MCP_SEARCH_FETCH"), description="true or false: whether pages can be fetched"
    )
    search_fetch_timeout: Seconds = Field(
        15.0,
        validation_alias=env("MCP_SEARCH_FETCH_TIMEOUT"),
        description="seconds a page may take, with its redirects",
    )
    search_fetch_max_bytes: int = Field(
        2 * _MIB,
        ge=1024,
        le=64 * _MIB,
        validation_alias=env("MCP_SEARCH_FETCH_MAX_BYTES"),
        description="bytes of a page that are read, 1024 to 67108864",
    )

    # The documents of the toolset "documents"; MONGODB_URI says where they are instead.
    documents_path: OptionalPath = Field(
        None,
        validation_alias=env("MCP_DOCUMENTS_PATH"),
        description="a file that is made if need be, in a folder that this user may write to",
    )
    documents_max_bytes: int = Field(
        256 * _MIB,
        ge=_MIB,
        le=1024 * 1024 * _MIB,
        validation_alias=env("MCP_DOCUMENTS_MAX_BYTES"),
        description="bytes of embedded documents, 1048576 to 1099511627776",
    )
    documents_timeout: float = Field(
        5.0,
        gt=0,
        le=55,
        validation_alias=env("MCP_DOCUMENTS_TIMEOUT"),
        description="seconds a query or a change may take, up to 55",
    )
    documents_max_document_bytes: int = Field(
        _MIB,
        ge=1024,
        le=16 * _MIB - 16 * 1024,
        validation_alias=env("MCP_DOCUMENTS_MAX_DOCUMENT_BYTES"),
        description="bytes of a document that is inserted, and of an update, 1024 to 16760832",
    )
    documents_max_result_bytes: int = Field(
        _MIB,
        ge=1024,
        le=64 * _MIB,
        validation_alias=env("MCP_DOCUMENTS_MAX_RESULT_BYTES"),
        description="bytes of the documents in one answer, 1024 to 67108864",
    )
    documents_tools_seconds: Seconds = Field(
        5.0,
        validation_alias=env("MCP_DOCUMENTS_TOOLS_SECONDS"),
        description="seconds between two looks for stored tools",
    )
    documents_define_tools: bool = Field(
        False,
        validation_alias=env("MCP_DOCUMENTS_DEFINE_TOOLS"),
        description="true or false: whether clients may define tools",
    )

    @cached_property
    def brave_key(self) -> str | None:
        """The token itself, from the variable or the file."""
        if self.search_brave_key:
            return self.search_brave_key.get_secret_value().strip() or None
        if self.search_brave_key_file:
            return self.search_brave_key_file.read_text("utf-8").strip() or None
        return None
