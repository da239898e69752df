"""genvx monitor as its users meet it: Prometheus scrapes it, systemd starts and ends it, and genvx
usage reads what it has written.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import urllib.parse
import urllib.request

import pytest

from genvx.cli.main import run
from genvx.watching import packaged
from genvx.watching.history.recorder import Recorder
from tests.conftest import run_genvx
from tests.helpers import PATIENCE, children_of, end, start_genvx, until


@pytest.fixture
def start():
    """Starts monitors, which end with the test; gives each with the first lines that it says."""
    started = []

    def start(*arguments, lines=1):
        process = start_genvx(*arguments)
        started.append(process)
        return process, "".join(process.stderr.readline() for _ in range(lines))

    yield start
    for process in started:
        if process.returncode is None:
            end(process)


def fetched(url):
    with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
        return answer.read().decode()


def kill_server(sandbox, number):
    """End a host: its sshd, and those that serve its connections."""
    pid = sandbox.servers[number].pid
    for each in (pid, *children_of(pid)):
        os.kill(each, signal.SIGKILL)


@pytest.fixture
def prometheus(tmp_path):
    """Starts a Prometheus that scrapes an address; gives what asks it."""
    started = []

    def scrape(address):
        (tmp_path / "alerts.yml").write_text(packaged.alerts())
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            "rule_files: [alerts.yml]\n"
            f"scrape_configs: [{{job_name: genvx, static_configs: [{{targets: ['{address}']}}]}}]\n"
        )
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        arguments = [
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with open(tmp_path / "prometheus.log", "wb") as log:
            process = subprocess.Popen(["prometheus", *arguments], stdout=log, stderr=log)
        started.append(process)

        def asked(path, **words):
            try:
                query = urllib.parse.urlencode(words)
                answer = json.loads(fetched(f"http://127.0.0.1:{port}/api/v1/{path}?{query}"))
            except OSError:
                return None  # it does not listen yet
            assert answer["status"] == "success"
            return answer["data"]

        return asked

    yield scrape
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.needs("openssh", "prometheus")
def test_a_fleet_is_scraped_by_prometheus_and_its_use_is_told(
    sandbox, start, prometheus, short_tmp
):
    history = str(short_tmp / "history.db")
    process, said = start(
        *("remote", "-t", "20", "monitor", "--listen", "127.0.0.1:0", "--every", "1s"),
        *("--history", history),
        lines=2,
    )
    url = re.search(r"2 hosts every 1 s; metrics at (http\S+)", said)[1]
    assert f"history in {history}" in said
    run_genvx("remote", "acquire", "-g", "2", "--for", "1h", "--name", "train")
    ask = prometheus(url.removeprefix("http://").removesuffix("/metrics"))

    def value(query):
        data = ask("query", query=query)
        return None if data is None else [each["value"][1] for each in data["result"]]

    until(lambda: value("sum(genvx_device_environments)") == ["2"], "the lease is scraped")
    assert value("genvx_host_environments > 0") == ["1"]
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=fetched(url), capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    (group,) = ask("rules")["groups"]
    assert len(group["rules"]) == 7
    assert all(rule["health"] != "err" for rule in group["rules"])
    for panel in json.loads(packaged.dashboard())["panels"]:
        for target in panel["targets"]:
            query = target["expr"].replace("$host", ".*")
            assert ask("query", query=query)["result"], query

    kill_server(sandbox, 1)
    until(lambda: value('genvx_host_up{host="gpu-server-2"}') == ["0"], "the host is down")
    assert value("count(genvx_device_info)") == ["1"]
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0
    assert said.startswith("gpu-server-2: ") or "gpu-server-2: " in said
    assert "Traceback" not in said

    answer = run_genvx("remote", "usage", "--json", "--by", "host", "--history", history)
    assert answer.returncode == 0, answer.stderr
    (use,) = json.loads(answer.stdout)["uses"]
    assert (use["key"], use["leases"]) == ("gpu-server-2", 2)
    assert use["gpu_hours_leased"] > 0


@pytest.mark.needs("prometheus")
def test_the_rules_are_ones_that_prometheus_accepts(tmp_path):
    path = tmp_path / "alerts.yml"
    path.write_text(run_genvx("monitor", "--print-alerts").stdout)
    checked = subprocess.run(["promtool", "check", "rules", path], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    assert json.loads(run_genvx("monitor", "--print-dashboard").stdout)["title"] == "genvx"


def test_a_monitor_writes_for_node_exporter_and_leaves_nothing(state, start, tmp_path):
    metrics = tmp_path / "metrics"
    metrics.mkdir()
    process, said = start("monitor", "--textfile", str(metrics), "--no-history", "--every", "1s")
    assert f"this machine every 1 s; metrics in {metrics}/genvx.prom" in said
    path = metrics / "genvx.prom"
    until(path.exists, "the file is there")
    name = socket.gethostname()
    assert f'genvx_host_devices{{host="{name}"}} 2\n' in path.read_text()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert list(metrics.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--every", "15"), "--every: '15' has no unit"),
        (("--every", "0.1s"), "--every is from 1s to 1h"),
        (("--listen", "9400"), "--listen is ADDRESS:PORT"),
        (("--listen", "192.0.2.1:9400"), "cannot listen at 192.0.2.1:9400"),
        (("--listen", ":1", "--textfile", "."), "either --listen or --textfile"),
        (("--textfile", "/proc/none"), "--textfile: no directory /proc/none"),
        (("--history", "h", "--no-history"), "either --history or --no-history"),
        (("--history", "/proc/none/h"), "cannot write the history"),
        (("--print-alerts", "--print-unit"), "give one of"),
    ],
)
def test_what_a_monitor_cannot_do_is_refused_before_it_begins(
    state, tmp_path, capsys, arguments, why
):
    history = [] if "--history" in arguments else ["--history", str(tmp_path / "h.db")]
    assert run(["monitor", *arguments, *history]) in (2, 6)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert why in said


def test_a_unit_starts_the_monitor_that_was_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my hosts").write_text("a\n")
    monkeypatch.setenv("GENVX_HOSTFILE", "other 50%")
    answer = run_genvx(
        *("remote", "monitor", "-f", "my hosts", "--every", "30s", "--label-users"), "--print-unit"
    )
    (line,) = re.findall("^ExecStart=(.*)", answer.stdout, re.MULTILINE)
    assert f' remote -f "{tmp_path}/my hosts" monitor --every 30s' in line
    assert line.endswith(" --listen 127.0.0.1:9400 --label-users")
    assert f"WorkingDirectory={tmp_path}\n" in answer.stdout
    assert f'Environment="GENVX_HOSTFILE={tmp_path}/other 50%%"\n' in answer.stdout


def test_usage_without_a_monitor_is_that_of_runs(state, short_tmp, monkeypatch):
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    monkeypatch.setenv("XDG_DATA_HOME", str(short_tmp / "data"))
    train = run_genvx("run", "-d", "-g", "2", "--name", "net", "--", "true").stdout.strip()
    assert run_genvx("watch", train).returncode == 0
    # As a monitor leaves it that could not start.
    Recorder(short_tmp / "data/genvx/monitor/local.db", 1.0, print).close()
    answer = run_genvx("usage", "--by", "name", "--csv")
    assert answer.returncode == 0, answer.stderr
    head, row = answer.stdout.splitlines()
    assert head.startswith("NAME,GPU_HOURS_LEASED,")
    assert row.startswith("net,0.0")
    assert "all that is known without the history of a monitor" in answer.stderr
    bars = run_genvx("usage", "--by", "name", "--plot").stdout
    assert re.match(r"net  [░█]+  \d", bars)


@pytest.mark.needs("root")
def test_provisioning_installs_a_unit_and_says_before_what_it_would_write(tmp_path, capsys):
    from genvx.cli.verbs.setup import admin
    from genvx.local.state.paths import Places

    units = tmp_path / "units"
    units.mkdir()
    places = Places(
        str(tmp_path / "genvx"), str(tmp_path / "former"), str(tmp_path / "none/x"), str(units)
    )
    (tmp_path / "former").mkdir()
    admin.plan(places, None, monitor=True, enforce=True)
    planned = capsys.readouterr().out
    assert list(units.iterdir()) == []
    admin.provision_in(places, monitor=True, enforce=True)
    enforcer, monitor = sorted(units.iterdir())
    assert (enforcer.name, monitor.name) == ("genvx-enforce.service", "genvx-monitor.service")
    assert {stat.S_IMODE(unit.stat().st_mode) for unit in (enforcer, monitor)} == {0o644}
    assert planned.endswith(
        f"# {monitor}\n{monitor.read_text()}\n# {enforcer}\n{enforcer.read_text()}"
    )
    assert " monitor --history /var/lib/genvx-monitor/history.db\n" in monitor.read_text()
    assert " enforce\n" in enforcer.read_text()
    said = capsys.readouterr().out
    assert "systemctl enable --now genvx-monitor.service genvx-enforce.service" in said
    assert "policy.toml has no [enforce] yet" in said
    (tmp_path / "genvx/policy.toml").write_text("[enforce.idle]\n")
    admin.provision_in(places, enforce=True)
    assert "no [enforce]" not in capsys.readouterr().out


def test_a_unit_has_no_secret(state):
    answer = run_genvx("monitor", "--print-unit", "--notify", "https://example.org/s3cret")
    assert (answer.returncode, answer.stdout, "s3cret" in answer.stderr) == (2, "", False)
    named = run_genvx("monitor", "--print-unit", "--notify", "team").stdout
    assert "--notify=team" in named


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_nothing_wrong_with_our_units(tmp_path):
    from genvx.watching import units

    program = ["/bin/true", "a b%c$d"]
    made = {
        units.UNIT: units.system_unit(program),
        units.ENFORCING_UNIT: units.enforcing_unit(program),
        "genvx-own.service": units.user_unit(program, "/tmp", {"GENVX_HOSTFILE": "/a b%c"}),
    }
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--generators=no", *map(str, tmp_path.iterdir())],
        capture_output=True,
        text=True,
    )
    about_ours = [line for line in answer.stderr.splitlines() if "genvx-" in line]
    assert about_ours == []
    (tmp_path / units.UNIT).write_text(made[units.UNIT].replace("Restart=", "Restrat="))
    again = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / units.UNIT)],
        capture_output=True,
        text=True,
    )
    assert "Restrat" in again.stderr
