"""`prompts/list`, `prompts/get` and `completion/complete`."""

from msgspec import UNSET, Raw

from app.protocol.adapt import prompt_result_for
from app.protocol.calls import Call
from app.protocol.content import Completion, PromptResult, Result
from app.protocol.context import CallContext, InputRequired
from app.protocol.errors import INVALID_PARAMS, ProtocolError
from app.protocol.handlers import InvalidArguments, Prompt
from app.protocol.listings import Listing
from app.protocol.methods._method import Method, method
from app.protocol.params import CompleteParams, GetPromptParams, ListParams
from app.protocol.rounds import input_required, resume
from app.protocol.sealing import digest_of
from app.protocol.services import Services

MAX_COMPLETIONS = 100


class CompleteResult(Result, kw_only=True):
    """Suggestions for an argument."""

    completion: Completion


class Prompts:
    """Prompts, and the completion of arguments."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._listing = Listing(
            "prompts",
            services.registry.prompts,
            _name,
            lambda: services.registry.generation,
            services.policy,
            services.server_meta,
        )

    def methods(self) -> list[Method]:
        """The methods of this group."""
        return [
            method("prompts/list", ListParams, self._list),
            method("prompts/get", GetPromptParams, self._get),
            method("completion/complete", CompleteParams, self._complete),
        ]

    async def _list(self, call: Call, params: ListParams) -> Raw:
        return self._listing.page(call.revision, params.cursor)

    async def _get(self, call: Call, params: GetPromptParams) -> object:
        services = self._services
        prompt = services.registry.prompt(params.name)
        if prompt is None:
            raise ProtocolError(INVALID_PARAMS, f"There is no prompt '{params.name[:128]}': see prompts/list.")
        arguments = {} if params.arguments is UNSET else params.arguments
        context = CallContext(call, None if params.meta is UNSET else params.meta)
        digest = digest_of(params.name, arguments)
        if call.revision.stateless:
            resume(services.sealer, call, params, context, digest)
        try:
            result = await prompt.get(arguments, context)
        except InputRequired as required:
            return input_required(services.sealer, call, required.requests, context, digest)
        except InvalidArguments as error:
            raise ProtocolError(INVALID_PARAMS, str(error)) from None
        if isinstance(result, PromptResult) and not call.revision.resource_links:
            result = prompt_result_for(result, call.revision)
        return services.finish(result, call.revision)

    async def _complete(self, call: Call, params: CompleteParams) -> object:
        registry = self._services.registry
        match params.ref:
            case {"type": "ref/prompt", "name": name}:
                if registry.prompt(name) is None:
                    raise ProtocolError(INVALID_PARAMS, f"There is no prompt '{name[:128]}': see prompts/list.")
                reference = {"name": name}
            case {"type": "ref/resource", "uri": uri}:
                reference = {"uri": uri}
            case _:
                raise ProtocolError(
                    INVALID_PARAMS, "params.ref must be a 'ref/prompt' with a name or a 'ref/resource' with a uri."
                )
        found = await registry.complete(
            reference, params.argument.name, params.argument.value, params.context.arguments
        )
        if isinstance(found, Raw):
            return self._services.finish(found, call.revision)
        if len(found.values) > MAX_COMPLETIONS:
            total = len(found.values) if found.total is UNSET else found.total
            found = Completion(values=found.values[:MAX_COMPLETIONS], total=total, has_more=True)
        return self._services.finish(CompleteResult(completion=found), call.revision)


def _name(prompt: Prompt) -> str:
    return prompt.definition.name
