"""No key of a stack file is without effect: building the platform reads every one."""

import yaml

from infra.config import StackConfig
from infra.config.base import Model
from infra.config.cluster import QuotaConfig

DIGEST = "sha256:" + "ab" * 32
EVERYTHING = f"""
environment: dev
namespace: {{quota: {{pods: 100}}, limits: {{maxCpu: 4}}}}
image: {{strategy: published, ref: "registry.acme.io/acme/slipway@{DIGEST}"}}
servers:
  web: {{autoscaling: {{podMetrics: [{{name: slipway_sessions_open, average: 50}}]}}}}
redis: {{mode: sentinel, clientAccess: service, backup: {{storage: {{}}}}}}
mongodb:
  enabled: true
  replicaSet: {{members: 3}}
  admin: {{host: mongo.acme.io, allowFrom: [10.0.0.0/8]}}
  backup: {{storage: {{}}}}
exposure:
  profile: nginx
  host: mcp.acme.io
  rateLimit: {{requestsPerSecond: 5, burst: 9}}
tls: {{mode: acme, email: ops@acme.io, installCertManager: {{version: v1.13.0}}}}
gateway:
  enabled: true
  path: /gateway
  servers: {{fetch: {{}}}}
  registries: {{npm: [{{url: https://npm.acme.io/, scopes: ["@acme"]}}], pypi: [{{url: https://pypi.acme.io/}}]}}
mesh:
  enabled: true
  agents: {{hello: {{autoscaling: {{}}, capabilities: [{{name: greeting}}]}}}}
serviceMesh: {{kind: istio}}
observability:
  serviceMonitor: true
  rules: true
  dashboards: true
  traces: {{endpoint: "http://collector.monitoring:4318"}}
"""
GATEWAY_API = """
environment: dev
servers: {web: {}}
exposure: {profile: gatewayApi, gateway: {name: edge, namespace: ingress}}
"""
# A quota is handed over as a whole.
WHOLE = {QuotaConfig}


def models(owner=Model):
    for model in owner.__subclasses__():
        yield model
        yield from models(model)


def test_building_the_platform_reads_every_key(run, monkeypatch):
    from infra.platform import Platform, PlatformArgs
    from infra.translate.edge import image_args

    configs = [StackConfig.parse(yaml.safe_load(text)) for text in (EVERYTHING, GATEWAY_API)]
    read = set()
    plain = Model.__getattribute__

    def watched(self, name):
        read.add((type(self), name))
        return plain(self, name)

    for config in configs:

        def program(config=config):
            monkeypatch.setattr(Model, "__getattribute__", watched)
            image_args(config.image, config.secrets, environment=config.environment)
            Platform("slipway", PlatformArgs.from_config(config, image=f"slipway@{DIGEST}"))
            monkeypatch.undo()

        run(program)

    inherited = {(parent, name) for model, name in read for parent in model.__mro__}
    unread = [
        f"{model.__name__}.{name}"
        for model in models()
        if model.__module__.startswith("infra.config.") and model not in WHOLE
        for name in model.model_fields
        if (model, name) not in inherited
    ]
    assert unread == []
