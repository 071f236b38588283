"""The policy pack: `pulumi preview --policy-pack infra/policy`."""

from pulumi_policy import EnforcementLevel, PolicyPack

from infra.policy.crossguard import policies

PolicyPack(
    "slipway",
    policies=policies(),
    enforcement_level=EnforcementLevel.MANDATORY,
    description="The rules that every stack of the platform keeps.",
)
