"""What the platform hands to the program, and what the program knows: neither imports the other, so a test compares."""

from app.cli._commands import app as commands
from app.settings import Settings


def programs(stack):
    """The containers that run our image."""
    for resource in stack.registered:
        if resource.has("spec.template.spec.containers"):
            for container in resource.at("spec.template.spec.containers"):
                if container.get("command", [""])[0] == "slipway":
                    yield container


def variables(stack, container):
    """The names of a container's variables, wherever they come from."""
    yield from (given["name"] for given in container.get("env", ()))
    maps = {resource.object_name: resource for resource in stack.all("ConfigMap")}
    for source in container.get("envFrom", ()):
        yield from maps[source["configMapRef"]["name"]].at("data")


def test_every_variable_that_a_stack_sets_is_one_that_the_program_reads(stack_name, evaluated):
    stack = evaluated(stack_name)
    known = {
        name for field in Settings.model_fields.values() for name in getattr(field.validation_alias, "choices", ())
    }
    given = {name for container in programs(stack) for name in variables(stack, container)}
    assert given - known == set()


def test_every_command_that_a_stack_runs_is_a_command_of_the_program(stack_name, evaluated):
    there = {command.name for command in commands.registered_commands}
    wanted = {container["command"][1] for container in programs(evaluated(stack_name))}
    assert wanted - there == set()


def test_every_toolset_that_a_stack_may_name_can_be_loaded():
    from importlib.util import find_spec
    from typing import get_args

    from infra.config.servers import Toolset

    assert [name for name in get_args(Toolset) if find_spec(f"app.toolsets.{name}") is None] == []


def test_registries_that_a_stack_names_are_read_as_they_were_meant(tmp_path):
    from app.packages.declared_registries import declared_registries
    from app.packages.registries import read_registries
    from infra.components.gateway import PackageRegistries, PackageRegistry
    from infra.components.gateway._registries import tokens, variable

    registries = PackageRegistries(
        npm=(
            PackageRegistry(url="https://npm.acme.example", scopes=("@acme",), token="bearer"),
            PackageRegistry(url="https://all.acme.example/", username="robot$ci", token="basic"),
        ),
        pypi=(PackageRegistry(url="https://pypi.acme.example/simple", token="token"),),
    )
    given = {name: str(token) for name, token in tokens(registries).items()}
    read = read_registries(given, home=tmp_path, own=declared_registries(text=variable(registries)))
    assert read.scopes == {"@acme": "https://npm.acme.example/"}
    assert read.npm == "https://all.acme.example/"
    assert read.tokens == {
        "//npm.acme.example/": "Bearer bearer",
        "//all.acme.example/": "Basic cm9ib3QkY2k6YmFzaWM=",
    }
    assert {index.url: index.headers for index in read.indexes} == {
        "https://pypi.acme.example/simple": {"authorization": "Basic X190b2tlbl9fOnRva2Vu"}
    }
