"""A remote: one host or a pool of hosts under a name, and how they are reached."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from genvx.core.prelude import Prelude
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.fleet.hosts import hostfile
from genvx.fleet.hosts.hostnames import parse_names
from genvx.fleet.remotes import keys
from genvx.fleet.remotes.yamltext import Pairs, Text
from genvx.ssh.config.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genvx.fleet.hosts.hostspec import HostSpec
    from genvx.fleet.remotes.files import Source
    from genvx.fleet.remotes.yamltext import Node, Place


# What a key is whose value could harm the user, where that is no command.
_DANGERS = {
    "password": "secret",
    "password-env": "secret",
    "endpoint-url": "server for your credentials",
    "profile": "name of your credentials",
    "local-env": "secret",
}


@dataclass(frozen=True)
class Written:
    """The value of a key, the name under which it is written, and the file."""

    key: str
    node: Node
    source: Source


@dataclass(frozen=True)
class Remote:
    """A remote. type: ssh, ec2, s3, one that somebody else has registered, or one that can only be
    listed; empty for one that others extend.
    """

    name: str
    type: str
    place: Place
    written: Mapping[str, Written]

    def text(self, key: str) -> str:
        """Return the text of a key; empty if it is not set."""
        found = self.written.get(key)
        return "" if found is None else keys.text_of(key, found.node)

    @property
    def description(self) -> str:
        """What its owner says of it, on one line."""
        return " ".join(self.text("description").split())

    @property
    def init(self) -> str:
        """What `remotes start --reinit` runs on its hosts."""
        return self.text("init")

    @property
    def where(self) -> str:
        """Where it is, in few words; no host is asked, and no hostfile read."""
        if self.type == "s3":
            bucket = f"s3://{self.text('bucket')}" if "bucket" in self.written else ""
            return "/".join(part for part in (bucket, self.text("root").strip("/")) if part)
        if self.type == "ec2":
            kind, region = self.text("instance-type"), self.text("region")
            return " in ".join(part for part in (kind, region) if part)
        if self.type == "slurm" and "partition" in self.written:
            return f"{self.text('partition')} at {self.text('host')}"
        if "hostfile" in self.written:
            return self.text("hostfile")
        if "hosts" in self.written:
            return ",".join(keys.texts_of("hosts", self.written["hosts"].node))
        user, port = self.text("user"), self.text("port")
        host = self.text("host")
        return f"{f'{user}@' if user else ''}{host}{f':{port}' if port else ''}" if host else ""

    @property
    def of_project(self) -> bool:
        """Whether a file that was merely found says something of it."""
        return any(each.source.found for each in self.written.values())

    @property
    def notes(self) -> tuple[str, ...]:
        """What is written and has no effect, a line each."""
        if self.type not in ("ssh", "ec2", "slurm"):
            return ()
        found = []
        chosen = self._prelude
        for key in keys.PYTHONS:
            if chosen is not None and key in self.written and chosen.key != key:
                found.append(f"{key} has no effect beside {chosen.key}")
        return tuple(found)

    def require_ssh(self) -> None:
        """Check that it has hosts to which genvx can connect.

        Raises:
            InvalidInput: its type has none, or does not say where they are.
        """
        if self.is_shelf:
            raise InvalidInput(
                f"remote {self.name} is of type {self.type}: it keeps runs, and nothing runs there"
            )
        if self.type in keys.NEVER:
            raise InvalidInput(
                f"remote {self.name} is of type {self.type}, which genvx does not have"
            )
        if not self.type:
            self.place.fail(f"{self.name} has no type; for a host over SSH: type: ssh")
        if self.type == "ec2":
            self._require_machine()
        else:
            self._require_place()
        if self.type == "slurm":
            self._require_allocation()
        secrets = [key for key in keys.PASSWORDS if key in self.written]
        if len(secrets) > 1:
            self.place.fail(f"{self.name} has {' and '.join(secrets)}; one of them is enough")
        self._require_harmless()
        self._require_secret()

    @property
    def is_shelf(self) -> bool:
        """Whether it keeps runs, and has no host."""
        return self.type in keys.SHELVES or (
            self.type not in ("", *keys.OF_TYPE, *keys.NEVER) and keys.is_registered(self.type)
        )

    def require_shelf(self) -> None:
        """Check that it keeps runs, and says where.

        Raises:
            InvalidInput: it is of another type, or a key is missing or may harm the user.
        """
        if not self.is_shelf:
            kind = f"of type {self.type}" if self.type else "of no type"
            raise InvalidInput(
                f"remote {self.name} is {kind}; only remotes of type s3 keep runs of other machines"
            )
        if self.type == "s3" and "bucket" not in self.written:
            self.place.fail(f"{self.name} needs bucket: NAME")
        if self.type not in keys.OF_TYPE and self.of_project:
            self.place.fail(
                f"what a {self.type} remote may do is not known, so a project's file may have "
                f"none; write {self.name} in your own remotes.yml"
            )
        self._require_harmless()
        written = self.written.get("local-env")
        if written is not None and isinstance(written.node, Pairs) and not written.source.secret:
            path = printable(shlex.quote(written.source.path), 200)
            written.node.place.fail(
                f"others can read this file, and so local-env; chmod 600 {path}"
            )

    def _require_place(self) -> None:
        ways = [key for key in keys.PLACES if key in self.written]
        if not ways:
            self.place.fail(f"{self.name} has no host; write host: NAME, hosts or hostfile")
        if len(ways) > 1:
            self.place.fail(f"{self.name} has {' and '.join(ways)}; one of them is enough")

    def _require_machine(self) -> None:
        """Check that it says what has to be started."""
        missing = [key for key in ("region", "ami", "instance-type") if key not in self.written]
        if missing:
            self.place.fail(f"{self.name} needs {' and '.join(missing)}")

    def _require_allocation(self) -> None:
        """Check that it says what Slurm is asked for."""
        if "time" not in self.written:
            self.place.fail(
                f"{self.name} needs time: how long it may have its nodes at most, such as 4h"
            )
        if len(parse_names(self.text("host"))) > 1:
            self.place.fail(f"{self.name} has more than one login node; one is enough")

    def _require_secret(self) -> None:
        """Refuse a password in a file that others can read."""
        written = self.written.get("password")
        if written is not None and not written.source.secret:
            path = printable(shlex.quote(written.source.path), 200)
            written.node.place.fail(
                f"others can read this file, and so the password; chmod 600 {path}"
            )

    def _require_harmless(self) -> None:
        """Refuse what could harm the user in a remote of which a found file says something."""
        if not self.of_project:
            return
        for key in keys.PRIVATE:
            if key not in self.written or (key == "proxy" and not keys.is_command(self.text(key))):
                continue
            what = _DANGERS.get(key, "command")
            self.written[key].node.place.fail(
                f"{self.written[key].key} is a {what}, and a project's file may name none; write "
                f"{self.name} in your own remotes.yml, or name this file in GENVX_REMOTES"
            )

    def specs(self) -> tuple[HostSpec, ...]:
        """Return the hosts that are written; connect to none. Where a machine is that is rented,
        pool.specs_of asks the cloud.

        Raises:
            InvalidInput: it has none. InvalidHostfile: its hostfile cannot be read.
        """
        self.require_ssh()
        if "hostfile" in self.written:
            way = self.written["hostfile"]
            path = os.path.join(way.source.base, os.path.expanduser(self.text("hostfile")))
            found = hostfile.load(path, named=not way.source.found)
        elif "hosts" in self.written:
            found = parse_names(",".join(keys.texts_of("hosts", self.written["hosts"].node)))
        else:
            found = parse_names(self.text("host"))
            for key, given in (("user", found[0].user), ("port", found[0].port)):
                if given is not None and self.text(key) not in ("", str(given)):
                    self.written[key].node.place.fail(f"host names another {key}: {given}")
            if len(found) == 1:
                # People know it by the name that they have given it.
                found = (replace(found[0], name=self.name),)
        return tuple(self._reached(spec) for spec in found)

    def at(self, machine: HostSpec) -> HostSpec:
        """Return a machine that was rented, with what the remote says of all its hosts."""
        return self._reached(machine)

    def _reached(self, spec: HostSpec) -> HostSpec:
        """Return a host with what the remote says of all its hosts; its own line comes first."""
        more: dict[str, Any] = {}
        # A machine that was rented has the user of its image.
        if "user" in self.written and (spec.user is None or self.type == "ec2"):
            more["user"] = self.text("user")
        if spec.port is None and "port" in self.written:
            more["port"] = int(self.text("port"))
        if not (spec.key or spec.password_env or spec.password_command or spec.password):
            # Together: with a key, the secret is that of the key.
            if "private-key" in self.written:
                more["key"] = self.path("private-key")
            more["password_command"] = self.text("password-command") or None
            more["password_env"] = self.text("password-env") or None
            written = self.written.get("password")
            if written is not None and isinstance(written.node, Text):
                more["password"] = Secret(written.node.value)
        if "connect-timeout" in self.written:
            more["connect_timeout"] = int(self.text("connect-timeout"))
        proxy = self.text("proxy")
        if proxy:
            more["proxy_command" if keys.is_command(proxy) else "proxy_jump"] = proxy
        if spec.runs is None and "home" in self.written:
            more["runs"] = keys.home(self.text("home")).rstrip("/") + "/runs"
        prerelease = keys.is_yes(self.text("use-prerelease"))
        return replace(spec, **more, prelude=self._prelude, prerelease=prerelease)

    @property
    def _prelude(self) -> Prelude | None:
        for key in keys.PYTHONS:
            if key in self.written:
                return Prelude(key, self.text(key))
        return None

    def path(self, key: str) -> str:
        """Return the path that a key names; a relative one starts at the directory of its file."""
        return os.path.join(self.written[key].source.base, os.path.expanduser(self.text(key)))
