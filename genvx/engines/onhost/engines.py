"""What differs between engines on a node: their commands, variables and ports."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import sys
from typing import Any

from genvx.engines.onhost.life import MISSING, Failure
from genvx.engines.onhost.place import Scratch, devices, free_ports


class Engine:
    """What differs between engines: their commands, variables and ports."""

    # package: the modules that it needs, of which the first has its version. install: what to do
    # where they are missing.
    name = title = package = install = ""
    # Prints a line of JSON when as many workers are there as its argument says.
    probe = ""

    def __init__(self, asked: dict[str, Any], address: str, scratch: Scratch) -> None:
        self.asked = asked
        self.address = address
        self.scratch = scratch
        self.environ = dict(os.environ)
        self.head: dict[str, Any] = {}
        self.port = 0
        self.prepare()

    @classmethod
    def version(cls) -> str:
        """Its version in this Python. Raises Failure if it has none."""
        for name in cls.package.split():
            if importlib.util.find_spec(name) is None:
                raise Failure(
                    f"{cls.title} is not installed in {sys.executable} of {platform.node()}: "
                    f"{cls.install}; --python names another Python",
                    MISSING,
                )
        return importlib.metadata.version(cls.package.split()[0])

    def prepare(self) -> None:
        """Write the secrets, and set the variables of all its processes."""

    def start_head(self) -> list[list[str]]:
        """The commands of node 0; `head` and `port` say where it is after this."""
        raise NotImplementedError

    def start_member(self) -> list[list[str]]:
        """The commands of another node."""
        raise NotImplementedError

    def variables(self) -> dict[str, str]:
        """What a program needs to find the cluster."""
        raise NotImplementedError


class Ray(Engine):
    """Ray's head and workers; each is `ray start --block`."""

    name, title, package = "ray", "Ray", "ray"
    install = "pip install 'ray[default]' there"
    probe = """
import json, os, sys, time, ray
ray.init(address=os.environ["RAY_ADDRESS"], _node_ip_address=sys.argv[2], log_to_driver=False)
while True:
    nodes = [node for node in ray.nodes() if node["Alive"]]
    if len(nodes) >= int(sys.argv[1]):
        break
    time.sleep(0.2)
print(json.dumps({"nodes": len(nodes), "gpus": sum(n["Resources"].get("GPU", 0) for n in nodes)}))
"""

    def prepare(self) -> None:
        """Ray asks each of its connections for the token, and calls nobody."""
        self.environ.update(
            RAY_AUTH_MODE="token",
            # One that somebody's profile sets would be taken first. Ray takes no empty one.
            RAY_AUTH_TOKEN="",
            RAY_AUTH_TOKEN_PATH=self.scratch.write("token", self.asked["token"]),
            RAY_TMPDIR=self.scratch.path,
            RAY_USAGE_STATS_ENABLED="0",
        )

    def start_head(self) -> list[list[str]]:
        """`ray start --head`, with ports that the kernel chose."""
        # Its server for clients forks, and what gRPC (1.85) does then often crashes the child.
        self.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
        self.port, dashboard, client = free_ports(3)
        words = ["--head", f"--port={self.port}", f"--temp-dir={self.scratch.path}"]
        # It listens on loopback, too, where tunnels lead. Ray has one wherever it can.
        has_client = importlib.util.find_spec("grpc") is not None
        if has_client:
            words.append(f"--ray-client-server-port={client}")
        # ray[default]: without it Ray refuses to start its page.
        has_dashboard = all(map(importlib.util.find_spec, ("aiohttp_cors", "colorful")))
        words.append(f"--include-dashboard={str(has_dashboard).lower()}")
        if has_dashboard:
            words += ["--dashboard-host=127.0.0.1", f"--dashboard-port={dashboard}"]
        self.head = {"address": f"{self.address}:{self.port}"}
        self.head["client"] = client if has_client else 0
        self.head["dashboard"] = dashboard if has_dashboard else 0
        return [self._start(words)]

    def start_member(self) -> list[list[str]]:
        """`ray start` of a node that joins."""
        return [self._start([f"--address={self.head['address']}"])]

    def variables(self) -> dict[str, str]:
        """RAY_ADDRESS, and the token."""
        names = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
        return {
            "RAY_ADDRESS": self.head["address"],
            **{name: self.environ[name] for name in names},
        }

    def _start(self, words: list[str]) -> list[str]:
        (agent,) = free_ports(1)
        return [
            *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", *words),
            f"--node-ip-address={self.address}",
            f"--num-gpus={len(devices())}",
            # Workers take any free port: a range would be another cluster's, too.
            *("--min-worker-port=0", "--max-worker-port=0"),
            # Its usual port is one for the whole machine.
            f"--dashboard-agent-listen-port={agent}",
            *("--disable-usage-stats", "--log-color=false"),
        ]


class Dask(Engine):
    """Dask's scheduler on node 0, and on each node a worker for each GPU."""

    name, title, package = "dask", "Dask", "distributed dask"
    install = "pip install distributed there"
    probe = """
import json, os, sys
from distributed import Client
with Client(os.environ["DASK_SCHEDULER_ADDRESS"], set_as_default=False) as client:
    client.wait_for_workers(int(sys.argv[1]))
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
print(json.dumps({
    "nodes": len({worker["host"] for worker in workers}),
    "gpus": sum(worker["resources"].get("GPU", 0) for worker in workers),
}))
"""

    def prepare(self) -> None:
        """Only those with the certificate of this cluster are let in."""
        certificate = self.scratch.write("cert.pem", self.asked["certificate"])
        key = self.scratch.write("key.pem", self.asked["key"])
        self._tls = [f"--tls-ca-file={certificate}", f"--tls-cert={certificate}"]
        self._tls.append(f"--tls-key={key}")
        tls = "DASK_DISTRIBUTED__COMM__TLS__"
        self._found = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}
        self._found[tls + "CA_FILE"] = certificate
        for role in ("CLIENT", "WORKER", "SCHEDULER"):
            self._found[f"{tls}{role}__CERT"] = certificate
            self._found[f"{tls}{role}__KEY"] = key
        self.environ.update(self._found)

    def start_head(self) -> list[list[str]]:
        """The scheduler, and the workers of this node, if it has some."""
        self.port, dashboard = free_ports(2)
        self.head = {"address": f"tls://{self.address}:{self.port}", "client": self.port}
        has_dashboard = importlib.util.find_spec("bokeh") is not None
        self.head["dashboard"] = dashboard if has_dashboard else 0
        shown = [f"--dashboard-address=127.0.0.1:{dashboard}"] if has_dashboard else []
        scheduler = [
            # On all addresses: a client comes through a tunnel, which leads to loopback.
            *(sys.executable, "-m", "dask", "scheduler", "--host=0.0.0.0", "--protocol=tls"),
            *(f"--port={self.port}", *self._tls, *(shown or ["--no-dashboard"])),
        ]
        return [scheduler, *(self.start_member() if self.asked["workers"] else [])]

    def start_member(self) -> list[list[str]]:
        """A worker for each GPU, or one where there is none."""
        base = self.asked.get("name") or f"node{os.environ.get('NODE_RANK', '0')}"
        leased = devices()
        found = []
        for number, device in enumerate(leased or [""]):
            name = base if len(leased) < 2 else f"{base}-{number}"
            command = [
                *(sys.executable, "-m", "dask", "worker", self.head["address"], *self._tls),
                *(f"--host=tls://{self.address}", f"--name={name}", "--nthreads=1"),
                # A nanny's worker would live on for a while; memory is not Dask's to share out.
                *("--no-nanny", "--memory-limit=0", "--death-timeout=60", "--no-dashboard"),
                f"--local-directory={self.scratch.path}",
            ]
            if device:
                env = f"CUDA_VISIBLE_DEVICES={device}"
                command = ["env", env, *command, "--resources=GPU=1"]
            found.append(command)
        return found

    def variables(self) -> dict[str, str]:
        """What Client() without arguments reads."""
        return {"DASK_SCHEDULER_ADDRESS": self.head["address"], **self._found}
