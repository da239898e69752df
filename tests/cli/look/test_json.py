"""--json of every verb is what docs/reference/schema.json says."""

from __future__ import annotations

import json
import os

import jsonschema
import pytest

from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.local.host import LocalHost
from genvx.local.joiningline import place_in_line
from genvx.watching.history.recorder import Recorder
from genvx.watching.places import usual_history
from tests.conftest import ROOT, run_genvx
from tests.helpers import end, genvx_argv, held_on_hosts, start_genvx, until
from tests.local.devices.test_nvml import libraries  # noqa: F401  (a fixture)
from tests.watching.played import RAZ, gpu, lease, look

SCHEMA = json.loads((ROOT / "docs/reference/schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def checked(answer, code=0):
    """The document that was printed, once it is what the schema says."""
    assert answer.returncode == code, answer.stderr
    document = json.loads(answer.stdout)
    VALIDATOR.validate(document)
    return document


def test_the_schema_is_a_schema_and_bites():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(
            {"schema": "genvx/1", "verb": "devices", "hosts": [{"host": "a", "ok": True}]}
        )


@pytest.mark.parametrize(
    "verb", ["devices", "envs", "status", "doctor", "version", "queue", "policy"]
)
def test_a_local_verb_prints_what_the_schema_says(state, verb):
    assert checked(run_genvx(verb, "--json"))["verb"] == verb


def test_the_rules_of_enforcement_are_in_what_policy_prints(state):
    (host,) = checked(run_genvx("policy", "--json"))["hosts"]
    assert (host["enforce"], host["in_use"]) == (None, True)
    text = '[devices]\nin_use = false\n[enforce.idle]\nafter = "4h"\n[enforce.squatters]\n'
    (state / "policy.toml").write_text(f'{text}do = "end"\n')
    (host,) = checked(run_genvx("policy", "--json"))["hosts"]
    assert host["in_use"] is False
    assert host["enforce"]["idle"] == {"do": "tell", "after_seconds": 14400, "below_percent": 5}
    assert host["enforce"]["squatters"] == {"do": "end", "grace_seconds": 300}


def test_runs_print_what_the_schema_says(state, short_tmp, monkeypatch):
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    assert checked(run_genvx("runs", "--json"))["hosts"][0]["runs"] == []
    run = run_genvx("run", "-d", "-g", "1", "--", "sh", "-c", "exit 3").stdout.strip()
    assert run_genvx("watch", run).returncode == 3
    (listed,) = checked(run_genvx("runs", "--json"))["hosts"][0]["runs"]
    assert (listed["id"], listed["exit_code"]) == (run, 3)
    assert checked(run_genvx("runs", "info", "--json"))["verb"] == "runs info"
    again = run_genvx("runs", "restart", run).stdout.strip()
    assert run_genvx("watch", again).returncode == 3
    compared = checked(run_genvx("runs", "compare", run, again, "--json"))
    assert (compared["differs"], compared["variables"]) == (["restarts"], [])


def test_usage_prints_what_the_schema_says(state, short_tmp, monkeypatch):
    monkeypatch.setenv("GENVX_RUNS_DIR", str(short_tmp / "runs"))
    monkeypatch.setenv("XDG_DATA_HOME", str(short_tmp))
    assert checked(run_genvx("usage", "--json"))["source"] == "runs"
    recorder = Recorder(usual_history(os.environ, remote=False), 15, print)
    recorder.take([look("here", 0, [gpu(0)], [lease("aaaa", RAZ, "0", -1)])], {})
    recorder.close()
    document = checked(run_genvx("usage", "--json", "--since", "36500d"))
    assert [use["key"] for use in document["uses"]] == ["raz"]


def test_config_tells_what_a_directory_takes(state, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checked(run_genvx("config", "--json"))["path"] is None
    run_genvx("config", "set", "gpus", "2")
    assert checked(run_genvx("config", "--json"))["values"] == {"gpus": "2"}


def test_smi_attach_and_detach_inside_an_environment(state, monkeypatch):
    monkeypatch.setenv("GENVX_SIMULATE", "2xA100-80GB")
    with LocalHost().acquire(Ask(Requirements(1))) as hold:
        for name, value in hold.grant.variables.items():
            monkeypatch.setenv(name, value)
        for line in (("attach", "-g", "1"), ("smi",), ("detach", "--device", "0")):
            assert checked(run_genvx(*line, "--json"))["verb"] == line[0]


@pytest.mark.parametrize("verb", ["devices", "envs", "status"])
def test_inside_an_environment_too(state, verb):
    inside = run_genvx("run", "-g", "1", "-n", "ä 'x'", "--", *genvx_argv(verb, "--json"))
    document = checked(inside)
    if verb == "status":
        assert document["hosts"][0]["current"]["name"] == "ä 'x'"


def test_without_a_driver_too(cli, state, monkeypatch):
    monkeypatch.delenv("GENVX_SIMULATE")
    assert checked(run_genvx("devices", "--json"))["hosts"][0]["driver"]["error"]
    checked(run_genvx("doctor", "--json"), 4)


@pytest.mark.needs("cc")
def test_with_everything_that_nvml_tells_too(libraries, state, monkeypatch):  # noqa: F811
    monkeypatch.delenv("GENVX_SIMULATE")
    env = {
        "LD_LIBRARY_PATH": libraries["new"],
        "NVML_STANDIN": "count=3 compute=0:1:5 graphics=0:2:-1 busy=0:1:37:500 mig=1:2 "
        "fail=nvmlDeviceGetName:2:15",
    }
    document = checked(run_genvx("devices", "--json", env=env))
    states = [device["state"] for device in document["hosts"][0]["devices"]]
    assert states == ["busy", "free", "free", "lost"]


@pytest.mark.needs("openssh")
def test_remote_verbs_with_good_and_bad_hosts_print_what_the_schema_says(sandbox):
    for verb in ("devices", "envs", "status", "doctor"):
        document = checked(
            run_genvx("remote", "-H", "gpu-server-1,no-such.invalid", verb, "--json"), 4
        )
        assert [host["ok"] for host in document["hosts"]] == [True, False]
        assert document["hosts"][1]["error"]["kind"] == "dns"


@pytest.mark.needs("openssh")
def test_release_prints_what_was_released(sandbox):
    process = start_genvx("remote", "run", "-g", "2", "-n", "x", "--", "sleep", "600")
    until(held_on_hosts)
    document = checked(run_genvx("remote", "release", "x", "--json"))
    assert document["hosts"][0]["host"] == "gpu-server-2"
    assert len(document["hosts"][0]["released"]["devices"]) == 2
    end(process)


def test_the_sandbox_tells_where_it_is(short_tmp):
    directory = str(short_tmp / "s")
    checked(run_genvx("sandbox", "status", "--dir", directory, "--json"))
    up = checked(run_genvx("sandbox", "up", "--gpus", "1,0", "--dir", directory, "--json"))
    status = checked(run_genvx("sandbox", "status", "--dir", directory, "--json"))
    assert up == status
    assert [host["running"] for host in status["hosts"]] == [True, True]
    assert run_genvx("sandbox", "down", "--dir", directory).returncode == 0


def test_explain_and_queue_and_policy_with_something_in_them_too(state):
    from genvx.core.requests.requirements import Requirements
    from genvx.local.host import LocalHost

    host = LocalHost()
    wanted = ["--gpus", "A100:40G..200G:2", "--gpu-memory", "1G"]
    with host.acquire(Ask(Requirements(1), lasts=100)):
        (state / "policy.toml").write_text(
            'administrators = ["ann"]\n[limits]\ntime = "1d"\n[limits.users.bob]\ngpus = 1\n'
            "[devices]\nhidden = [7]\nshared = [0, 1]\n"
        )
        checked(run_genvx("explain", "--json", *wanted), 3)
        checked(run_genvx("explain", "--json", "--gpus", "9"), 2)
        checked(run_genvx("policy", "--json"))
        ticket = place_in_line(
            host, Ask(Requirements.parse("A100:2"), name="n", command="c"), "abcd1234"
        )
        held = host.store.queue(ticket)
        (shown,) = checked(run_genvx("queue", "--json"))["hosts"]
        held.withdraw()
    checked(run_genvx("acquire", "--json", "-g", "1", "--for", "1h", "--name", "kept"))
    assert [each["request"]["text"] for each in shown["tickets"]] == ["2 A100 GPUs"]
    host.close()
