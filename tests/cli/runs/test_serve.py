"""Servers as a person has them: started, looked at, left, found again, and started anew."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tests.cli.look.test_json import checked
from tests.conftest import run_genvx
from tests.helpers import end, start_genvx, until

pytestmark = pytest.mark.needs("openssh")

# Says how often it has started, and dies when it is asked to.
SERVER = """
import http.server, os, sys
with open("starts", "a+") as file:
    file.write("x")
    file.seek(0)
    starts = len(file.read())
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/die":
            os._exit(3)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"start {starts} port {os.environ['PORT']}".encode())
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def hosts(sandbox):
    """Two hosts over SSH."""
    return sandbox


def got(url):
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.read().decode()
    except OSError:
        return None


@contextlib.contextmanager
def served(*words):
    """A server that answers; gives the process of its client, and its address."""
    command = [sys.executable, "-c", SERVER, "{port}"]
    process = start_genvx("remote", "serve", "-g", "1", *words, "--", *command)
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise AssertionError(process.communicate()[1])
        yield process, url
    finally:
        end(process)


def test_a_server_answers_here_and_again_after_it_has_crashed(hosts):
    with served("--ready", "/") as (_, url):
        first = got(url)
        port = re.fullmatch(r"start 1 port (\d+)", first)[1]
        assert got(f"{url}die") is None
        until(lambda: got(url) == f"start 2 port {port}")


def test_a_server_goes_on_without_its_client_and_a_tunnel_leads_to_it_again(hosts):
    with served() as (process, _):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    run = re.search(r"run (\w+) goes on", said)[1]
    assert process.returncode == 130
    tunnel = start_genvx("remote", "tunnel", run)
    try:
        address = tunnel.stdout.readline().split()[0]
        assert got(f"http://{address}/").startswith("start 1")
    finally:
        end(tunnel)


def test_a_server_that_is_left_has_the_tag_by_which_all_are_found(hosts):
    command = [sys.executable, "-m", "http.server", "{port}"]
    answer = run_genvx("remote", "serve", "-d", "--", *command)
    assert re.fullmatch(r"[0-9a-f]{8}\n", answer.stdout)
    document = checked(run_genvx("remote", "serve", "-d", "--json", "--", *command))
    (act,) = document["runs"]
    # Without a tunnel it has no address on this machine.
    assert (act["did"], act["run"]["state"], document["url"]) == ("started", "running", None)
    shown = run_genvx("remote", "runs", "list", "--tag", "serve", "--json").stdout
    assert act["id"] in shown
    assert answer.stdout.strip() in shown


def test_json_has_the_address_while_the_tunnel_is_open(hosts):
    with served("--json") as (process, first):
        lines = [first]
        while lines[-1] != "}":
            lines.append(process.stdout.readline().rstrip("\n"))
        document = checked(subprocess.CompletedProcess([], 0, "\n".join(lines), ""))
        assert got(document["url"]).startswith("start 1")
        assert process.poll() is None


def test_a_server_that_ends_before_it_answers_fails_with_the_end_of_its_output(hosts):
    answer = run_genvx(
        "remote", "serve", "--retries", "0", "--", "sh", "-c", "echo no luck; exit 3"
    )
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "  no luck\n" in answer.stderr
    assert "is over before it has answered: exit code 3" in answer.stderr


def test_a_port_that_another_program_has_is_refused_before_the_command_starts(hosts):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = run_genvx("remote", "serve", "--port", str(port), "--", "touch", "started")
    assert answer.returncode == 1
    assert f"cannot serve on port {port} of this host: another program has it" in answer.stderr


def test_a_port_of_this_machine_that_is_taken_is_refused_before_anything_starts(hosts):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        answer = run_genvx("remote", "serve", "--local-port", port, "--", "touch", "started")
    assert (answer.returncode, answer.stderr) == (
        2,
        f"genvx: port {port} is taken on this machine\n",
    )
    assert "Total 0 runs" in run_genvx("remote", "runs", "--tag", "serve", "-s", "running").stdout


def test_a_server_on_this_machine_needs_no_tunnel(state, tmp_path):
    command = [sys.executable, "-c", SERVER, "{port}"]
    answer = run_genvx("serve", "--ready", "/", "-C", str(tmp_path), "--", *command)
    try:
        assert got(answer.stdout.strip()).startswith("start 1")
    finally:
        run_genvx("runs", "stop", "--force", "1")
