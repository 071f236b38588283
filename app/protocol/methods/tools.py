"""`tools/list` and `tools/call`."""

import logging
from collections.abc import Sequence

from msgspec import UNSET, Raw

from app.protocol.adapt import tool_result_for
from app.protocol.calls import Call, ClientRefused
from app.protocol.content import Text, ToolResult
from app.protocol.context import CallContext, InputRequired
from app.protocol.errors import INVALID_PARAMS, ProtocolError
from app.protocol.extensions import TASKS, declares, lacking
from app.protocol.handlers import InvalidArguments, Tool, ToolFailure
from app.protocol.headers import InvalidMirror, MirroredParam, mirrored_params
from app.protocol.listings import Listing
from app.protocol.methods._method import Method, method
from app.protocol.params import CallToolParams, ListParams
from app.protocol.rounds import input_required, resume
from app.protocol.sealing import digest_of
from app.protocol.services import Services
from app.protocol.tasks import TaskBoard

logger = logging.getLogger("slipway.protocol")


class Tools:
    """The hot path: everything `tools/call` needs is found by one look-up."""

    def __init__(self, services: Services, tasks: TaskBoard) -> None:
        self._services = services
        self._registry = services.registry
        self._tasks = tasks
        self._listing = Listing(
            "tools",
            services.registry.tools,
            _name,
            lambda: services.registry.generation,
            services.policy,
            services.server_meta,
        )
        self._mirrors: dict[str, tuple[Tool, tuple[MirroredParam, ...]]] = {}

    def methods(self) -> list[Method]:
        """The methods of this group."""
        return [
            method("tools/list", ListParams, self._list),
            method("tools/call", CallToolParams, self._call),
        ]

    def mirrored(self, name: str) -> Sequence[MirroredParam]:
        """Which parameters of the tool clients mirror into headers."""
        tool = self._registry.tool(name)
        if tool is None:
            return ()
        known = self._mirrors.get(name)
        if known is None or known[0] is not tool:
            known = self._mirrors[name] = (tool, _mirrors_of(tool))
        return known[1]

    async def _list(self, call: Call, params: ListParams) -> Raw:
        return self._listing.page(call.revision, params.cursor)

    async def _call(self, call: Call, params: CallToolParams) -> object:
        tool = self._registry.tool(params.name)
        if tool is None:
            raise ProtocolError(INVALID_PARAMS, f"There is no tool '{params.name[:128]}': see tools/list.")
        meta = params.meta
        context = CallContext(call, None if meta is UNSET else meta)
        arguments = None if params.arguments is UNSET else params.arguments
        if call.revision.stateless:
            return await self._call_in_rounds(call, params, tool, arguments, context)
        result = await run_tool(tool, arguments, context)
        if isinstance(result, ToolResult) and not (call.revision.structured_output and call.revision.resource_links):
            result = tool_result_for(result, call.revision)
        return self._services.finish(result, call.revision)

    async def _call_in_rounds(
        self, call: Call, params: CallToolParams, tool: Tool, arguments: Raw | None, context: CallContext
    ) -> object:
        services = self._services
        if params.request_state is not UNSET or params.input_responses is not UNSET:
            resume(services.sealer, call, params, context, _digest(params))
        try:
            if tool.tasks != "forbidden":
                if declares(context.client_capabilities, TASKS):
                    result = await self._tasks.run(tool, arguments, context)
                    return services.finish(result, call.revision) if isinstance(result, ToolResult | Raw) else result
                if tool.tasks == "required":
                    raise lacking(TASKS, f"The tool '{params.name}'")
            return services.finish(await run_tool(tool, arguments, context), call.revision)
        except InputRequired as required:
            return input_required(services.sealer, call, required.requests, context, _digest(params))


async def run_tool(tool: Tool, arguments: Raw | None, context: CallContext) -> ToolResult | Raw:
    """The tool's result; what goes wrong inside the tool is told as a result with `isError`."""
    result = await _outcome(tool, arguments, context)
    if isinstance(result, ToolResult) and result.is_error is True:
        context.call.tool_failed = True
    return result


async def _outcome(tool: Tool, arguments: Raw | None, context: CallContext) -> ToolResult | Raw:
    try:
        return await tool.call(arguments, context)
    except (ProtocolError, InputRequired, RecursionError):
        raise
    except (InvalidArguments, ToolFailure) as error:
        return _failed(str(error))
    except ClientRefused as error:
        return _failed(f"The client declined: {error.message}")
    except TimeoutError as error:
        return _failed(str(error) or f"The tool '{tool.definition.name}' took too long.")
    except Exception:
        logger.exception("tool %s failed", tool.definition.name)
        return _failed(f"The tool '{tool.definition.name}' failed unexpectedly. The server's log says why.")


def _failed(message: str) -> ToolResult:
    return ToolResult(content=[Text(text=message)], is_error=True)


def _digest(params: CallToolParams) -> bytes:
    return digest_of(params.name, None if params.arguments is UNSET else canonical(params.arguments))


def canonical(raw: Raw) -> object:
    """The JSON value, so that two ways of writing it compare equal."""
    import msgspec

    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ProtocolError(INVALID_PARAMS, f"params.arguments is not valid JSON: {error}.") from None


def _mirrors_of(tool: Tool) -> tuple[MirroredParam, ...]:
    try:
        return mirrored_params(tool.definition.input_schema)
    except InvalidMirror as error:
        logger.warning("tool %s: clients will not show it: %s", tool.definition.name, error)
        return ()


def _name(tool: Tool) -> str:
    return tool.definition.name
