"""`slipway review`: what a preview would do, for a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli._show import consoles, write


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("review", no_args_is_help=True)(review)


def review(
    preview: Annotated[str, typer.Argument(help="A file written by `pulumi preview --json`; - for standard input.")],
    allow: Annotated[
        list[str] | None,
        typer.Option(help="A URN, a name or Kind/name that may lose its data. May be given several times."),
    ] = None,
    title: Annotated[str | None, typer.Option(help="What the summary is of; the stack's name when absent.")] = None,
) -> None:
    """Summarise a preview as Markdown, and refuse one that would lose data.

    Exit status: 0 when nothing is lost or all of it is allowed, 1 when something would be lost without an allowance, 2
    when the file cannot be read or the preview itself failed.
    """
    from app.review import UnreadablePreview
    from app.review import review as read

    errors = consoles()[1]
    try:
        text = typer.get_binary_stream("stdin").read() if preview == "-" else Path(preview).read_bytes()
        found = read(text, allow=allow or (), title=title)
    except OSError as problem:
        errors.print(f"Cannot read {preview}: {problem.strerror}.", markup=False)
        raise typer.Exit(2) from None
    except UnreadablePreview as problem:
        errors.print(f"Cannot review {preview}: {problem}.", markup=False)
        raise typer.Exit(2) from None
    write(found.markdown)
    if found.failed:
        errors.print("The preview failed, so its changes are incomplete.", markup=False)
        raise typer.Exit(2)
    if found.blocked:
        errors.print("Data would be lost; see the summary for what to allow.", markup=False)
        raise typer.Exit(1)
