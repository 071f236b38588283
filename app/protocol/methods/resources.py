"""`resources/list`, `resources/templates/list`, `resources/read` and, in the older era, subscriptions."""

from msgspec import UNSET, Raw

from app.protocol.calls import Call, SessionView
from app.protocol.content import ResourceDefinition
from app.protocol.context import CallContext, InputRequired
from app.protocol.errors import INVALID_PARAMS, INVALID_REQUEST, RESOURCE_NOT_FOUND, ProtocolError
from app.protocol.handlers import Resource, ResourceNotFound, Watchable
from app.protocol.listings import Listing
from app.protocol.methods._method import Method, method
from app.protocol.params import ListParams, ReadResourceParams, UriParams
from app.protocol.rounds import input_required, resume
from app.protocol.sealing import digest_of
from app.protocol.services import Services


class Resources:
    """Resources and templates of resources."""

    def __init__(self, services: Services) -> None:
        self._services = services
        registry = services.registry
        common = (lambda: registry.generation, services.policy, services.server_meta)
        self._listing = Listing("resources", registry.resources, _address, *common)
        self._templates = Listing("resourceTemplates", registry.templates, _address, *common)

    def methods(self) -> list[Method]:
        """The methods of this group."""
        return [
            method("resources/list", ListParams, self._list),
            method("resources/templates/list", ListParams, self._list_templates),
            method("resources/read", ReadResourceParams, self._read),
            method("resources/subscribe", UriParams, self._subscribe, stateless=False),
            method("resources/unsubscribe", UriParams, self._unsubscribe, stateless=False),
        ]

    async def _list(self, call: Call, params: ListParams) -> Raw:
        return self._listing.page(call.revision, params.cursor)

    async def _list_templates(self, call: Call, params: ListParams) -> Raw:
        return self._templates.page(call.revision, params.cursor)

    async def _read(self, call: Call, params: ReadResourceParams) -> object:
        services = self._services
        resource = services.registry.resource(params.uri)
        if resource is None:
            raise _missing(call, params.uri)
        context = CallContext(call, None if params.meta is UNSET else params.meta)
        digest = digest_of(params.uri)
        if call.revision.stateless:
            resume(services.sealer, call, params, context, digest)
        try:
            result = await resource.read(params.uri, context)
        except InputRequired as required:
            return input_required(services.sealer, call, required.requests, context, digest)
        except ResourceNotFound:
            raise _missing(call, params.uri) from None
        return services.finish(result, call.revision, cacheable=True)

    async def _subscribe(self, call: Call, params: UriParams) -> object:
        session = _session(call)
        if self._services.registry.resource(params.uri) is None:
            raise _missing(call, params.uri)
        if isinstance(self._services.registry, Watchable):
            await self._services.registry.watch(params.uri, session.id)
        session.subscriptions.add(params.uri)
        call.session_changed = True
        return {}

    async def _unsubscribe(self, call: Call, params: UriParams) -> object:
        session = _session(call)
        session.subscriptions.discard(params.uri)
        if isinstance(self._services.registry, Watchable):
            self._services.registry.unwatch(params.uri, session.id)
        call.session_changed = True
        return {}


def _session(call: Call) -> SessionView:
    if call.session is None:
        raise ProtocolError(INVALID_REQUEST, "A subscription belongs to a session: begin with 'initialize'.")
    return call.session


def _missing(call: Call, uri: str) -> ProtocolError:
    code = INVALID_PARAMS if call.revision.stateless else RESOURCE_NOT_FOUND
    return ProtocolError(code, f"There is no resource '{uri[:256]}': see resources/list.", {"uri": uri[:256]})


def _address(resource: Resource) -> str:
    definition = resource.definition
    if isinstance(definition, ResourceDefinition):
        return definition.uri
    return definition.uri_template
