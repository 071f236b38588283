"""What packages bring along, and the block list on it."""

from __future__ import annotations

import pytest

from app.packages.dependencies import TreeLimits
from app.packages.policy import Policy
from app.packages.pypi import dependencies_of


async def followed(shelf, ecosystem, name, version):
    return await shelf.dependencies(ecosystem, name, await shelf.release(ecosystem, name, version))


def names(tree):
    return {item.name: (item.version, item.path) for item in tree.dependencies}


async def test_dependencies_are_followed_to_the_end_with_the_way_to_each(shelf, registry):
    registry.add_npm("leaf", "1.4.0")
    registry.add_npm("middle", "2.0.0", dependencies={"leaf": "^1"})
    registry.add_npm("top", "1.0.0", dependencies={"middle": "2.x"})
    tree = await followed(shelf, "npm", "top", "1.0.0")
    assert names(tree) == {"middle": ("2.0.0", ("top",)), "leaf": ("1.4.0", ("top", "middle"))}
    assert (tree.unknown, tree.complete) == ([], True)


async def test_packages_that_need_each_other_end(shelf, registry):
    registry.add_npm("a", "1.0.0", dependencies={"b": "*"})
    registry.add_npm("b", "1.0.0", dependencies={"a": "*"})
    assert set(names(await followed(shelf, "npm", "a", "1.0.0"))) == {"a", "b"}


async def test_an_alias_is_judged_by_the_package_behind_it(shelf, registry):
    registry.add_npm("evil", "1.2.0")
    registry.add_npm("@bad/one", "3.0.0")
    aliases = {"harmless": "npm:evil@^1.0.0", "nice": "npm:@bad/one"}
    registry.add_npm("top", "1.0.0", dependencies=aliases)
    tree = await followed(shelf, "npm", "top", "1.0.0")
    assert {name: version for name, (version, _) in names(tree).items()} == {"evil": "1.2.0", "@bad/one": "3.0.0"}
    told = [str(refusal) for refusal in tree.refusals("npm", Policy(block=["npm:evil@<2", "@bad/*"]))]
    assert len(told) == 2
    assert "npm:evil 1.2.0 (a dependency: top) is forbidden by the block rule 'npm:evil@<2'" in told[0]


@pytest.mark.parametrize("kind", ["dependencies", "optionalDependencies", "peerDependencies"])
async def test_a_blocked_package_is_found_however_it_is_brought_along(shelf, registry, kind):
    registry.add_npm("evil", "1.0.0")
    registry.add_npm("top", "1.0.0", **{kind: {"evil": "*"}})
    tree = await followed(shelf, "npm", "top", "1.0.0")
    assert len(tree.refusals("npm", Policy(block=["evil"]))) == 1


async def test_an_optional_peer_is_not_installed_and_not_judged(shelf, registry):
    meta = {"evil": {"optional": True}}
    registry.add_npm("top", "1.0.0", peerDependencies={"evil": "*"}, peerDependenciesMeta=meta)
    tree = await followed(shelf, "npm", "top", "1.0.0")
    assert (tree.dependencies, tree.unknown) == ([], [])


@pytest.mark.parametrize(
    "address",
    [
        "git+https://example.com/x.git",
        "https://example.com/x.tgz",
        "file:../x",
        "github:someone/x",
        "someone/x",
        "git@example.com:x.git",
        "workspace:*",
    ],
)
async def test_a_dependency_from_an_address_is_told_and_nothing_is_fetched_from_there(shelf, registry, address):
    registry.add_npm("x", "1.0.0")
    registry.add_npm("top", "1.0.0", dependencies={"x": address})
    before = len(registry.asked)
    tree = await followed(shelf, "npm", "top", "1.0.0")
    assert tree.dependencies == []
    assert "not from a registry: no installation takes it" in tree.unknown[0]
    assert not [path for path, _ in registry.asked[before:] if path.startswith("/x")]


async def test_what_is_gone_or_fits_no_version_is_told(shelf, registry):
    registry.add_npm("old", "1.0.0")
    registry.add_npm("top", "1.0.0", dependencies={"gone": "*", "old": "^9", "not a name": "1"})
    tree = await followed(shelf, "npm", "top", "1.0.0")
    told = "\n".join(sorted(tree.unknown))
    assert "gone: npm:gone is not in" in told
    assert "old: '^9' takes none of its versions" in told
    assert "'not a name' is not the name of an npm package" in told


async def test_a_tree_without_end_is_cut_and_said_so(make_shelf, registry):
    for number in range(12):
        registry.add_npm(f"n{number}", "1.0.0", dependencies={f"n{number + 1}": "*"})
    shelf = make_shelf()
    shelf._tree = TreeLimits(packages=5)
    tree = await followed(shelf, "npm", "n0", "1.0.0")
    assert (len(tree.dependencies), tree.complete) == (5, False)


async def test_dependencies_of_pypi_are_followed_by_their_ranges(shelf, registry):
    registry.add_pypi("leaf", "1.0")
    registry.add_pypi("leaf", "2.0")
    registry.add_pypi("top-package", "1.0", requires=("Leaf<2", "never; extra == 'dev'"))
    tree = await followed(shelf, "pypi", "top-package", "1.0")
    assert names(tree) == {"leaf": ("1.0", ("top-package",))}
    assert len(tree.refusals("pypi", Policy(block=["pypi:LEAF@==1.*"]))) == 1
    assert tree.refusals("pypi", Policy(block=["pypi:leaf@>=2"])) == []


def test_requirements_are_those_of_this_machine_without_extras():
    found = dependencies_of(
        [
            "a>=1",
            "A<3",
            "b; sys_platform == 'win32'",
            "c; extra == 'x'",
            "d_e.f==1",
            "g @ https://example.com/g.whl",
            "!!",
        ]
    )
    assert found == {"a": ">=1,<3", "d-e-f": "==1", "g": "@ https://example.com/g.whl"}


async def test_an_address_in_a_requirement_is_told(shelf, registry):
    registry.add_pypi("g", "1.0")
    registry.add_pypi("top", "1.0", requires=("g @ https://example.com/g.whl",))
    tree = await followed(shelf, "pypi", "top", "1.0")
    assert (tree.dependencies, len(tree.unknown)) == ([], 1)
    assert "g: it comes from '@ https://example.com/g.whl'" in tree.unknown[0]
