"""Skills: directories whose files are resources with digests."""

import hashlib
from pathlib import Path

import pytest
from msgspec import UNSET

from app.toolsets import CallContext, Skill, ToolsetRegistry

MAIN = b"---\nname: refunds\ndescription: Pay money back\nlicense: MIT\n---\n# Refunds\n"


def test_a_directory_becomes_a_skill_with_every_file_digested(tmp_path: Path) -> None:
    directory = tmp_path / "refunds"
    (directory / "examples").mkdir(parents=True)
    (directory / "SKILL.md").write_bytes(MAIN)
    (directory / "examples" / "mail.txt").write_bytes(b"Dear")
    (directory / ".hidden").write_bytes(b"secret")
    skill = Skill.from_directory(directory, "acme/refunds")
    assert skill.entry == {
        "uri": "skill://acme/refunds/SKILL.md",
        "frontmatter": {"name": "refunds", "description": "Pay money back", "license": "MIT"},
        "resources": [
            {
                "uri": "skill://acme/refunds/SKILL.md",
                "digest": f"sha256:{hashlib.sha256(MAIN).hexdigest()}",
                "size": len(MAIN),
            },
            {
                "uri": "skill://acme/refunds/examples/mail.txt",
                "digest": f"sha256:{hashlib.sha256(b'Dear').hexdigest()}",
                "size": 4,
            },
        ],
    }


def test_each_directory_lists_its_direct_children() -> None:
    skill = Skill("refunds", {"SKILL.md": MAIN, "a/b/c.txt": b"", "a/d.txt": b""})
    assert {
        uri: [(child.uri, child.mime_type) for child in children] for uri, children in skill.directories.items()
    } == {
        "skill://refunds": [
            ("skill://refunds/SKILL.md", "text/markdown"),
            ("skill://refunds/a", "inode/directory"),
        ],
        "skill://refunds/a": [
            ("skill://refunds/a/b", "inode/directory"),
            ("skill://refunds/a/d.txt", "text/plain"),
        ],
        "skill://refunds/a/b": [("skill://refunds/a/b/c.txt", "text/plain")],
    }


async def test_files_are_read_as_resources_of_the_registry(context: CallContext) -> None:
    registry = ToolsetRegistry()
    skill = Skill("refunds", {"SKILL.md": MAIN, "logo.png": b"\x89\xff"})
    registry.add(skill)
    assert registry.skill("skill://refunds/SKILL.md") is skill
    assert registry.skills() == [skill]
    main = registry.resource("skill://refunds/SKILL.md")
    assert main is not None
    assert (main.definition.name, main.definition.description) == ("refunds", "Pay money back")
    (contents,) = (await main.read("skill://refunds/SKILL.md", context)).contents
    assert contents.text == MAIN.decode()
    logo = registry.resource("skill://refunds/logo.png")
    assert logo is not None
    (contents,) = (await logo.read("skill://refunds/logo.png", context)).contents
    assert (contents.text, contents.blob) == (UNSET, "if8=")


@pytest.mark.parametrize(
    ("path", "files", "complaint"),
    [
        ("refunds", {"other.md": MAIN}, "has no SKILL.md"),
        ("refunds", {"SKILL.md": b"# Refunds"}, "must begin with YAML"),
        ("refunds", {"SKILL.md": b"---\nname: refunds\n---\n"}, "must say its 'description'"),
        ("refunds", {"SKILL.md": b"---\n- a\n---\n"}, "must say its 'name'"),
        ("payments", {"SKILL.md": MAIN}, "its name is 'refunds'; make it the last part of its path"),
        ("Re", {"SKILL.md": MAIN.replace(b"refunds", b"Re", 1)}, "its name must be 1 to 64 of a-z"),
        ("refunds", {"SKILL.md": MAIN} | {str(n): b"" for n in range(512)}, "too large"),
    ],
)
def test_a_directory_that_is_no_skill_is_refused_with_the_reason(
    path: str, files: dict[str, bytes], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Skill(path, files)
