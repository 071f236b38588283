"""The commands of the one image, one a role. The image's entry point is not relied upon."""

SERVE = ("slipway", "serve")
GATEWAY = ("slipway", "gateway")
REGISTRY = ("slipway", "registry")
AGENT = ("slipway", "agent")
OPERATOR = ("slipway", "operator")
