"""A stand-in for the `docker` plugin: it builds nothing, but takes the image that the tests brought.

`SLIPWAY_TEST_IMAGE` is that image, by digest. Where `SLIPWAY_TEST_PUSH` names a command, it is
called with that image and the name that the stack gives it, and makes the one known under the other (copied to a
registry, tagged on a node).
"""

import hashlib
import os
import re
import shlex
import subprocess
from typing import Any

import grpc
import httpx
from engine.plugins import wire
from engine.plugins.base import StandIn, difference, failures
from engine.plugins.wire import UNKNOWN
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

IMAGE = "docker:index/image:Image"
TAG = "docker:index/tag:Tag"
REGISTRY_IMAGE = "docker:index/registryImage:RegistryImage"
REMOTE_IMAGE = "docker:index/remoteImage:RemoteImage"
FIND = "docker:index/getRegistryImage:getRegistryImage"
# Which changed inputs make a new object; all others are brought about in place.
REPLACING = {
    IMAGE: frozenset[str](),
    TAG: frozenset({"sourceImage", "targetImage", "tagTriggers"}),
    REGISTRY_IMAGE: frozenset({"name", "triggers"}),
    REMOTE_IMAGE: frozenset({"name", "triggers"}),
}
MANIFESTS = (
    "oci.image.index.v1",
    "oci.image.manifest.v1",
    "docker.distribution.manifest.list.v2",
    "docker.distribution.manifest.v2",
)
ACCEPTED = ", ".join(f"application/vnd.{kind}+json" for kind in MANIFESTS)


def digest_in_registry(ref: str) -> str | None:
    """The digest that a registry on this machine has for a tag. No other registry is asked."""
    host, _, rest = ref.partition("/")
    name, _, tag = rest.rpartition(":") if ":" in rest else (rest, "", "latest")
    if not re.fullmatch(r"(localhost|127\.0\.0\.1|10\.78\.\d+\.\d+):\d+", host):
        return None
    try:
        found = httpx.head(f"http://{host}/v2/{name}/manifests/{tag}", headers={"Accept": ACCEPTED}, trust_env=False)
    except httpx.HTTPError:
        return None
    return found.headers.get("docker-content-digest") if found.status_code == 200 else None


def brought_digest(name: str) -> str:
    """The digest of the image that the tests brought; one made of the name where objects are all that is tested."""
    brought = os.environ.get("SLIPWAY_TEST_IMAGE", "")
    return brought.partition("@")[2] or f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def hand_over(name: str) -> None:
    """Make the image that the tests brought known under `name`."""
    command, brought = os.environ.get("SLIPWAY_TEST_PUSH", ""), os.environ.get("SLIPWAY_TEST_IMAGE", "")
    if command and brought:
        done = subprocess.run([*shlex.split(command), brought, name], capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise RuntimeError(f"{name} could not be made of {brought}: {done.stderr.strip()[-500:]}")


def repository(ref: str) -> str:
    head, slash, last = ref.partition("@")[0].rpartition("/")
    return head + slash + last.partition(":")[0]


class DockerStandIn(StandIn):
    """Images by name. What officially is a build is here the image that the tests brought, under the wanted name."""

    name = "docker"

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's names, here and below
        known = request.type in REPLACING
        why = f"the stand-in for the docker plugin does not know {request.type}"
        return provider_pb2.CheckResponse(inputs=request.news, failures=[] if known else failures(("", why)))

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = wire.decode(request.old_inputs).plain, wire.decode(request.news).plain
        return difference(old, new, set(REPLACING[request.type]))

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        inputs = wire.decode(request.properties)
        outputs = self._made(request, context, inputs.plain)
        name = inputs.plain.get("targetImage") or inputs.plain.get("name") or inputs.plain.get("imageName")
        identity = "" if request.preview else str(name)
        return provider_pb2.CreateResponse(id=identity, properties=wire.encode(outputs, inputs.secrets))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        inputs = wire.decode(request.news)
        outputs = self._made(request, context, inputs.plain)
        return provider_pb2.UpdateResponse(properties=wire.encode(outputs, inputs.secrets))

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802
        arguments = wire.decode(request.args).plain
        if request.tok != FIND:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, f"the stand-in for the docker plugin has no {request.tok}")
        digest = digest_in_registry(arguments["name"])
        if digest is None:
            context.abort(grpc.StatusCode.NOT_FOUND, f"no registry that the tests may ask has {arguments['name']}")
        found = {"id": digest, "name": arguments["name"], "sha256Digest": digest}
        return provider_pb2.InvokeResponse(**{"return": wire.encode(found)})

    def _made(self, request: Any, context: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        if request.type == IMAGE:
            return self._image(request, context, inputs)
        outputs = dict(inputs)
        if request.type == TAG:
            outputs["sourceImageId"] = UNKNOWN if request.preview else brought_digest(str(inputs["sourceImage"]))
        else:
            key = "sha256Digest" if request.type == REGISTRY_IMAGE else "repoDigest"
            outputs[key] = UNKNOWN if request.preview else brought_digest(str(inputs["name"]))
        return outputs

    def _image(self, request: Any, context: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        name = inputs["imageName"]
        outputs = {
            "imageName": name,
            "baseImageName": name,
            "registryServer": inputs.get("registry", {}).get("server", ""),
        }
        outputs |= {key: inputs.get("build", {}).get(key, "") for key in ("context", "dockerfile", "platform")}
        if request.preview:
            return {**outputs, "repoDigest": UNKNOWN}
        self.say(f"{name} is not built: a stand-in for the docker plugin takes the tests' image", request.urn)
        try:
            hand_over(name)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as problem:
            context.abort(grpc.StatusCode.UNKNOWN, str(problem))
        return {**outputs, "repoDigest": f"{repository(name)}@{brought_digest(name)}"}
