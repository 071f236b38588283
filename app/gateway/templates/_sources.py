"""Templates of the operator's own: files of a folder, documents of a MongoDB collection. One schema for all."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from app.gateway.templates._template import Template, TemplateError, read_template

_ENDINGS = (".yaml", ".yml", ".json")
_LARGEST = 256 * 1024
_MOST = 1000


def from_folder(folder: Path) -> list[Template]:
    """The templates of a folder, one a file. Raises `TemplateError` with what is wrong with all of them."""
    import yaml

    found: list[Template] = []
    problems: list[str] = []
    try:
        files = sorted(file for file in folder.iterdir() if file.suffix in _ENDINGS and file.is_file())
    except OSError as error:
        raise TemplateError(str(folder), [f"cannot be read: {error}: name a folder in MCP_TEMPLATES_PATH"]) from None
    if len(files) > _MOST:
        raise TemplateError(str(folder), [f"has {len(files)} files, and {_MOST} are read at most"])
    for file in files:
        try:
            if file.stat().st_size > _LARGEST:
                problems.append(f"{file.name} has more than {_LARGEST} bytes")
                continue
            found.append(read_template(file.name, yaml.safe_load(file.read_text("utf-8"))))
        except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
            problems.append(f"{file.name} cannot be read: {error}")
        except TemplateError as error:
            problems.append(str(error))
    if problems:
        raise TemplateError(str(folder), problems)
    return found


def from_mongodb(uri: str, collection: str, *, seconds: float = 5.0) -> list[Template]:
    """The templates of a collection of the address's database, one a document. Raises `TemplateError`."""
    from pymongo import MongoClient
    from pymongo.errors import PyMongoError

    where = f"the collection {collection}"
    client: Any = None
    try:
        client = cast("Any", MongoClient)(uri, serverSelectionTimeoutMS=int(seconds * 1000))
        documents = client.get_default_database("slipway")[collection].find({}, {"_id": 0}).limit(_MOST)
        given = [dict(document) for document in documents]
    except PyMongoError as error:
        # The text may hold the address with its password: what kind of error it is says enough.
        remedy = f"cannot be read ({type(error).__name__}): check MONGODB_URI and that the server runs"
        raise TemplateError(where, [remedy]) from None
    finally:
        if client is not None:
            client.close()
    found: list[Template] = []
    problems: list[str] = []
    for index, document in enumerate(given):
        try:
            found.append(read_template(str(document.get("name", f"document {index + 1}")), document))
        except TemplateError as error:
            problems.append(str(error))
    if problems:
        raise TemplateError(where, problems)
    return found
