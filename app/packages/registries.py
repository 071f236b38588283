"""Where packages come from and with which credentials, as npm, uv and pip are told it, and as our own file says."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from app.packages.declared_registries import TEXT, Declared, Entry, RegistriesError

NPM = "https://registry.npmjs.org/"
PYPI = "https://pypi.org/simple"
_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\??\}")
_CREDENTIALS = re.compile(r"npm_config_.*:?_(auth|authtoken|password)|uv_index_\w+_(username|password)", re.IGNORECASE)
_ADDRESSES = ("npm_config_", "uv_", "pip_")
_PASSED = frozenset(
    {
        *("PATH", "HOME", "USER", "TMPDIR", "LANG", "LC_ALL", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"),
        *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    }
)


@dataclass(frozen=True, slots=True)
class Source:
    """One registry, and what it is asked with. The headers may hold a secret."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(slots=True)
class Registries:
    """Every registry that packages are taken from. Later sources of the same thing win."""

    npm: str = NPM
    scopes: dict[str, str] = field(default_factory=dict[str, str])
    tokens: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """The value of `Authorization` by the address (`//host/path/`) that it is sent to, with all below it."""
    indexes: list[Source] = field(default_factory=list[Source])
    """Of PyPI, asked in this order; the first that has a package is the one that it is taken from."""
    named_variables: set[str] = field(default_factory=set[str])
    """Variables that .npmrc refers to: npm has to see them."""
    secret_variables: set[str] = field(default_factory=set[str])
    """Variables that our own declaration takes tokens from."""
    own_npm: bool = False
    own_pypi: bool = False
    """Whether the client does not read it by itself, and has to be told."""

    def of_npm(self, name: str) -> Source:
        """The registry of a package, by its scope."""
        scope = name.partition("/")[0] if name.startswith("@") else ""
        url = self.scopes.get(scope, self.npm)
        return Source(url, self._headers(url))

    def _headers(self, url: str) -> dict[str, str]:
        where = _nerf(url)
        for prefix in sorted(self.tokens, key=len, reverse=True):
            if where.startswith(prefix):
                return {"authorization": self.tokens[prefix]}
        return {}

    def client_environment(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What npm and uv are run with: what they are configured by, and nothing else of ours. It holds secrets."""
        told = {
            name: value
            for name, value in environment.items()
            if name in _PASSED or name in self.named_variables or name.lower().startswith(("npm_config_", "uv_"))
        }
        if self.own_npm:
            told["npm_config_registry"] = self.npm
            told.update({f"npm_config_{scope}:registry": url for scope, url in self.scopes.items()})
            for prefix, value in self.tokens.items():
                kind, _, secret = value.partition(" ")
                told[f"npm_config_{prefix}:{'_authToken' if kind == 'Bearer' else '_auth'}"] = secret
        if self.own_pypi:
            *others, default = (_with_credentials(index) for index in self.indexes)
            told["UV_DEFAULT_INDEX"] = default
            told["UV_INDEX"] = " ".join(others)
        return told

    def without_credentials(self, environment: Mapping[str, str]) -> dict[str, str]:
        """What the program of a package may see of the environment that it was installed in."""
        secret = {TEXT, *self.secret_variables, *self.named_variables}
        return {
            name: value
            for name, value in environment.items()
            if name not in secret
            and not _CREDENTIALS.fullmatch(name)
            and not (name.lower().startswith(_ADDRESSES) and re.search(r"//[^/\s]*@", value))
        }


def read_registries(environment: Mapping[str, str], *, home: Path, own: Declared | None = None) -> Registries:
    """What this machine's npm, uv and pip use, and then what our own declaration says. Raises `RegistriesError`."""
    found = Registries()
    _read_npm(found, environment, home)
    _read_pypi(found, environment, home)
    if own is not None:
        _read_own(found, own, environment)
    return found


def _read_npm(found: Registries, environment: Mapping[str, str], home: Path) -> None:
    told = {name.lower(): value for name, value in environment.items()}
    user = Path(told.get("npm_config_userconfig") or home / ".npmrc")
    for file in (Path("/etc/npmrc"), Path("/usr/etc/npmrc"), user):
        for line in _text(file).splitlines():
            key, equals, value = line.partition("=")
            if equals and not key.strip().startswith(("#", ";")):
                found.named_variables.update(_REFERENCE.findall(value))
                _npm_value(found, key.strip(), _expanded(value.strip().strip("\"'"), environment))
    for name, value in environment.items():
        if name.lower().startswith("npm_config_") and value:
            _npm_value(found, name[len("npm_config_") :], value)


def _npm_value(found: Registries, key: str, value: str) -> None:
    if key.lower() == "registry":
        found.npm = _slashed(value)
    elif match := re.fullmatch(r"(@[a-z0-9][a-z0-9._-]*):registry", key):
        found.scopes[match[1]] = _slashed(value)
    elif match := re.fullmatch(r"(//.+?):(_authToken|_authtoken|_auth)", key):
        kind = "Basic" if match[2] == "_auth" else "Bearer"
        found.tokens[_slashed(match[1])] = f"{kind} {value}"


def _read_pypi(found: Registries, environment: Mapping[str, str], home: Path) -> None:
    first = environment.get("UV_DEFAULT_INDEX") or environment.get("UV_INDEX_URL") or environment.get("PIP_INDEX_URL")
    others = (environment.get("UV_INDEX") or environment.get("UV_EXTRA_INDEX_URL") or "").split()
    others += (environment.get("PIP_EXTRA_INDEX_URL") or "").split()
    configured = Path(environment.get("XDG_CONFIG_HOME") or home / ".config")
    uv_file = _uv_file(configured / "uv" / "uv.toml")
    for name, url, is_default in uv_file:
        if is_default and not first:
            first = _named(url, name, environment)
        elif not is_default:
            others.append(_named(url, name, environment))
    if not first:
        match = re.search(r"^\s*index-url\s*=\s*(\S+)", _text(configured / "pip" / "pip.conf"), re.MULTILINE)
        first = match[1] if match else None
    of_uv = any(
        environment.get(name) for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX", "UV_EXTRA_INDEX_URL")
    )
    found.own_pypi = not of_uv and not uv_file and bool(others or first)
    # uv asks the named indexes before the default one.
    for text in (*others, first or PYPI):
        name, equals, url = text.partition("=")
        named = equals and re.fullmatch(r"[A-Za-z0-9._-]+", name)
        found.indexes.append(_source(_named(url, name, environment) if named else text))


def _uv_file(file: Path) -> list[tuple[str, str, bool]]:
    import tomllib

    try:
        said = tomllib.loads(_text(file))
    except tomllib.TOMLDecodeError as error:
        raise RegistriesError(f"{file} cannot be read: {error}") from None
    found = [
        (str(i.get("name", "")), str(i["url"]), bool(i.get("default"))) for i in said.get("index", []) if "url" in i
    ]
    if isinstance(url := said.get("index-url"), str):
        found.append(("", url, True))
    return found


def _read_own(found: Registries, own: Declared, environment: Mapping[str, str]) -> None:
    found.secret_variables |= own.token_variables
    for index, entry in enumerate(own.npm):
        where = f"{own.where}: npm[{index}]"
        url = _slashed(_checked(entry.url, where))
        for scope in entry.scopes:
            found.scopes[scope if scope.startswith("@") else f"@{scope}"] = url
        if not entry.scopes:
            found.npm = url
        if token := _token(entry, where, environment):
            basic = entry.username is not None
            value = _basic(entry.username or "", token) if basic else f"Bearer {token}"
            found.tokens[_nerf(url)] = value
        found.own_npm = True
    if own.pypi:
        found.own_pypi = True
        found.indexes = []
    for index, entry in enumerate(own.pypi):
        where = f"{own.where}: pypi[{index}]"
        url = _checked(entry.url, where)
        token = _token(entry, where, environment)
        headers = {"authorization": _basic(entry.username or "__token__", token)} if token else {}
        found.indexes.append(Source(url, headers))


def _token(entry: Entry, where: str, environment: Mapping[str, str]) -> str | None:
    if entry.token_file is not None:
        try:
            return Path(entry.token_file).read_text("utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            raise RegistriesError(f"{where}.tokenFile={entry.token_file!r} cannot be read: {error}") from None
    if entry.token_variable is not None:
        if not (token := environment.get(entry.token_variable)):
            raise RegistriesError(f"{where}.tokenVariable={entry.token_variable!r} is not set: set that variable")
        return token
    return None


def _checked(url: str, where: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise RegistriesError(f"{where}.url is wrong: give https://host/path; the token belongs into tokenFile")
    return url


def _named(url: str, name: str, environment: Mapping[str, str]) -> str:
    """The address of a named index of uv's, with the user name and password that variables say for it."""
    variable = re.sub(r"[^A-Z0-9]", "_", name.upper())
    user, password = (environment.get(f"UV_INDEX_{variable}_{what}") for what in ("USERNAME", "PASSWORD"))
    if not name or not (user or password):
        return url
    parts = urlsplit(url)
    credentials = f"{quote(user or '', safe='')}:{quote(password or '', safe='')}@"
    return urlunsplit(parts._replace(netloc=credentials + parts.netloc.rpartition("@")[2]))


def _source(url: str) -> Source:
    """An address whose user name and password become a header."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return Source(url.rstrip("/"))
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])).rstrip("/")
    return Source(bare, {"authorization": _basic(unquote(parts.username or ""), unquote(parts.password or ""))})


def _with_credentials(index: Source) -> str:
    value = index.headers.get("authorization", "").removeprefix("Basic ")
    if not value:
        return index.url
    try:
        user, _, password = base64.b64decode(value).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return index.url
    parts = urlsplit(index.url)
    return urlunsplit(parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{parts.netloc}"))


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _expanded(text: str, environment: Mapping[str, str]) -> str:
    return _REFERENCE.sub(lambda match: environment.get(match[1], ""), text)


def _nerf(url: str) -> str:
    """npm's form of an address that credentials belong to: `//host/path/`."""
    parts = urlsplit(url)
    return _slashed(f"//{parts.netloc.rpartition('@')[2]}{parts.path}")


def _slashed(url: str) -> str:
    return url if url.endswith("/") else url + "/"


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
