"""Users, passwords and the URIs made of them. Every value stays in a Secret."""

from dataclasses import dataclass
from urllib.parse import quote

import pulumi
from pulumi_kubernetes.core.v1 import Secret
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs
from pulumi_random import RandomPassword

from infra import naming
from infra.component import Component, object_name
from infra.components.mongodb._args import MongodbArgs
from infra.pods import SecretKey
from infra.ports import MONGODB

ROOT = "root"
BACKUP = "backup"
ROOT_PASSWORD, APP_PASSWORD, BACKUP_PASSWORD, KEY_FILE = "root-password", "app-password", "backup-password", "keyfile"
URI_KEY = "MONGODB_URI"
DUMP_KEY = "dump.yaml"
_PASSWORD_LENGTH = 40
# MongoDB takes 6 to 1024 characters of the Base64 alphabet.
_KEY_FILE_LENGTH = 512


def headless(name: str) -> str:
    return naming.child(name, "headless")


def members(name: str, args: MongodbArgs, namespace: str) -> list[str]:
    """Where clients connect: the Service of a single member, or every member of a set by its own name."""
    if args.replica_set is None:
        return [f"{naming.service_host(name, namespace)}:{MONGODB.number}"]
    domain = naming.service_host(headless(name), namespace)
    return [f"{name}-{ordinal}.{domain}:{MONGODB.number}" for ordinal in range(args.replica_set.members)]


@dataclass(frozen=True, kw_only=True)
class Login:
    """Somebody who may connect, and where the account is kept."""

    username: str
    password: str
    source: str


def uri(name: str, args: MongodbArgs, namespace: str, login: Login, *, database: str = "", options: str = "") -> str:
    hosts = ",".join(members(name, args, namespace))
    chosen = "" if args.replica_set is None else f"&replicaSet={args.replica_set.name}"
    who = f"{quote(login.username, safe='')}:{quote(login.password, safe='')}"
    return f"mongodb://{who}@{hosts}/{database}?authSource={login.source}{chosen}{options}"


class Credentials:
    """The Secrets of one MongoDB, made as children of its component."""

    def __init__(self, owner: Component, args: MongodbArgs) -> None:
        self._owner, self._args = owner, args
        self._root = self._generated(ROOT_PASSWORD)
        self._app = self._generated(APP_PASSWORD) if args.password is None else pulumi.Output.secret(args.password)
        self._backup = self._generated(BACKUP_PASSWORD)
        values = {ROOT_PASSWORD: self._root, APP_PASSWORD: self._app, BACKUP_PASSWORD: self._backup}
        if args.replica_set is not None:
            values[KEY_FILE] = self._generated(KEY_FILE, _KEY_FILE_LENGTH)
        self.server = self._secret("credentials", {**values})
        """What mongod itself is given."""

    def uri(self) -> SecretKey:
        """The URI of the app's user, by reference."""
        return SecretKey(secret=self._secret("uri", {URI_KEY: self._app_uri()}), key=URI_KEY)

    def dump(self) -> pulumi.Output[str]:
        """The name of a Secret with the configuration of mongodump."""

        def written(known: list[str]) -> str:
            login = Login(username=BACKUP, password=known[1], source="admin")
            options = "" if self._args.replica_set is None else "&readPreference=secondaryPreferred"
            return f"uri: {uri(self._owner.name, self._args, known[0], login, options=options)}\n"

        text = pulumi.Output.all(self._args.namespace, self._backup).apply(written)
        return self._secret("dump", {DUMP_KEY: text})

    def admin(self, password: pulumi.Input[str] | None) -> pulumi.Output[str]:
        """The name of a Secret for the admin page: its own password, and the app's user, who sees one database."""
        page = self._generated("page-password") if password is None else pulumi.Output.secret(password)
        return self._secret(
            "admin",
            {
                "uri": self._app_uri(),
                "password": page,
                "cookie-secret": self._generated("cookie-secret"),
                "session-secret": self._generated("session-secret"),
            },
        )

    def _app_uri(self) -> pulumi.Output[str]:
        args = self._args

        def written(known: list[str]) -> str:
            login = Login(username=args.username, password=known[1], source=args.database)
            return uri(self._owner.name, args, known[0], login, database=args.database)

        return pulumi.Output.all(args.namespace, self._app).apply(written)

    def _generated(self, part: str, length: int = _PASSWORD_LENGTH) -> pulumi.Output[str]:
        """Made once and kept in the state."""
        password = RandomPassword(
            naming.child(self._owner.name, part), length=length, special=False, opts=self._owner.child_options()
        )
        return pulumi.Output.secret(password.result)

    def _secret(self, part: str, values: dict[str, pulumi.Input[str]]) -> pulumi.Output[str]:
        secret = Secret(
            naming.child(self._owner.name, part),
            metadata=ObjectMetaArgs(namespace=self._args.namespace, labels=naming.labels(self._owner.name, "mongodb")),
            string_data=values,
            opts=self._owner.child_options(),
        )
        return object_name(secret.metadata)
