"""A cloud on loopback: moto's server, and what AWS does beyond it.

Started as a program with a directory; it prints its port. In the directory, `log` has the operation
of each request; of one for S3, its method and path. A test writes `control.json`, which holds from
the next request on:

errors: the word with which an operation fails, by its name. kill: a pid that gets SIGKILL at its
request number `at`, `before` it is carried out or after, when its answer is not sent yet.

moto does not know ClientToken, and prints the console of no machine; AWS documents both.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

IMAGE = "ami-0123456789abcdef0"
_IMAGES = [
    {
        "ami_id": IMAGE,
        "name": "ubuntu/images/hvm-ssd-gp3/ubuntu-noble-24.04-amd64-server",
        "description": "Ubuntu",
        "owner_id": "099720109477",
        "public": True,
        "virtualization_type": "hvm",
        "architecture": "x86_64",
        "state": "available",
        "platform": None,
        "image_type": "machine",
        "hypervisor": "xen",
        "root_device_name": "/dev/sda1",
        "root_device_type": "ebs",
        "sriov": "simple",
    }
]
_ERROR = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>{code}</Code>'
    "<Message>{message}</Message></Error></Errors><RequestID>1</RequestID></Response>"
)

Environ = dict[str, Any]
# Status, headers and body.
Answer = tuple[str, list[tuple[str, str]], bytes]


class Pretend:
    """The application between moto's and the clients."""

    def __init__(self, inner: Any, directory: Path) -> None:
        self._inner = inner
        self._directory = directory
        self._lock = threading.Lock()
        self._answers: dict[str, Answer] = {}
        self._killed = (0, 0)

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size)
        text = body.decode("latin-1")
        match = re.search(r"(?:^|&)Action=(\w+)", text)
        if match is None and environ.get("PATH_INFO", "").startswith("/moto-api/"):
            return self._pass(environ, body, start_response)
        if match is None:
            # One at a time: a client may send several, and is killed at one of them.
            with self._lock:
                return self._stored(environ, body, start_response)
        with self._lock:
            return self._answer(match[1], text, environ, body, start_response)

    def _answer(
        self, action: str, text: str, environ: Environ, body: bytes, start_response: Any
    ) -> list[bytes]:
        with open(self._directory / "log", "a") as log:
            log.write(f"{action}\n")
        control = self._control()
        self._kill(control, before=True)
        code = control.get("errors", {}).get(action)
        if code is not None:
            message = f"because of a test: {code}"
            start_response("403 no" if code == "UnauthorizedOperation" else "400 no", _XML)
            return [_ERROR.format(code=code, message=message).encode()]
        token = re.search(r"(?:^|&)ClientToken=([^&]+)", text) if action == "RunInstances" else None
        if token is not None and token[1] in self._answers:
            status, headers, answer = self._now(self._answers[token[1]], environ)
            if b"<name>terminated</name>" in answer:
                start_response("400 no", _XML)
                return [_ERROR.format(code="IdempotentInstanceTerminated", message="").encode()]
        else:
            status, headers, answer = self._ask(environ, body)
            if token is not None and status.startswith("200"):
                self._answers[token[1]] = (status, headers, answer)
        if action == "GetConsoleOutput":
            answer = self._console(answer)
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
        self._kill(control, before=False)
        start_response(status, headers)
        return [answer]

    def _stored(self, environ: Environ, body: bytes, start_response: Any) -> list[bytes]:
        """A request for S3."""
        with open(self._directory / "log", "a") as log:
            log.write(
                f"{environ['REQUEST_METHOD']}:{environ['PATH_INFO']}".replace(" ", "+") + "\n"
            )
        control = self._control()
        self._kill(control, before=True)
        status, headers, answer = self._ask(environ, body)
        self._kill(control, before=False)
        start_response(status, headers)
        return [answer]

    def _now(self, kept: Answer, environ: Environ) -> Answer:
        """What EC2 says to a token that it knows: the machine that it stands for, as it is now."""
        (instance,) = re.findall(rb"<instanceId>(i-[0-9a-f]+)</instanceId>", kept[2])
        body = b"Action=DescribeInstances&Version=2016-11-15&InstanceId.1=" + instance
        _, _, found = self._ask(environ, body)
        state = re.search(rb"<instanceState>.*?</instanceState>", found, re.DOTALL)
        if state is None:
            return kept
        now = re.sub(rb"<instanceState>.*?</instanceState>", state[0], kept[2], flags=re.DOTALL)
        headers = [pair for pair in kept[1] if pair[0].lower() != "content-length"]
        return kept[0], headers, now

    def _console(self, answer: bytes) -> bytes:
        file = self._directory / "console"
        shown = file.read_bytes() if file.exists() else b"Linux version 6.8\n"
        output = b"<output>" + base64.b64encode(shown) + b"</output>"
        return re.sub(rb"<output>.*?</output>", output, answer, flags=re.DOTALL)

    def _control(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((self._directory / "control.json").read_text())
            return found
        except FileNotFoundError:
            return {}

    def _kill(self, control: dict[str, Any], *, before: bool) -> None:
        kill = control.get("kill")
        if kill is None:
            return
        pid, count = self._killed
        if before:
            self._killed = (kill["pid"], count + 1 if pid == kill["pid"] else 1)
        if self._killed[1] == kill["at"] and kill["before"] == before:
            with contextlib.suppress(ProcessLookupError):
                os.kill(kill["pid"], signal.SIGKILL)

    def _ask(self, environ: Environ, body: bytes) -> Answer:
        said: list[Any] = []
        inner = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        answer = b"".join(
            self._inner(inner, lambda status, headers, *_: said.extend((status, headers)))
        )
        return said[0], said[1], answer

    def _pass(self, environ: Environ, body: bytes, start_response: Any) -> list[bytes]:
        if environ.get("PATH_INFO") == "/moto-api/reset":
            self._answers.clear()
        status, headers, answer = self._ask(environ, body)
        start_response(status, headers)
        return [answer]


_XML = [("Content-Type", "text/xml")]


@contextlib.contextmanager
def served(directory: Path) -> Iterator[str]:
    """Start such a cloud in a directory; its URL."""
    with open(directory / "errors", "w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, __file__, str(directory)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={"PATH": "/usr/bin:/bin", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"},
        )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
            process.wait()


def control(directory: Path, **values: object) -> None:
    """Say what happens to requests from the next one on."""
    # Of this process alone: two clients may be started at once.
    new = directory / f"control.{os.getpid()}"
    new.write_text(json.dumps(values))
    new.rename(directory / "control.json")


def forget(url: str, directory: Path) -> None:
    """Have a cloud be as it was before anything was started there."""
    reset = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
    with urllib.request.urlopen(reset, timeout=60):
        pass
    for name in ("control.json", "log", "console"):
        (directory / name).unlink(missing_ok=True)


def main() -> None:
    directory = Path(sys.argv[1])
    (directory / "images.json").write_text(json.dumps(_IMAGES))
    os.environ["MOTO_AMIS_PATH"] = str(directory / "images.json")
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log_request(self, *_: object) -> None:
            pass

    app = Pretend(DomainDispatcherApplication(create_backend_app), directory)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
