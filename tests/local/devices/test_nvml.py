"""The real pynvml against a library compiled here: every row of the table of NVML's failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator

import pytest

from genvx.core.device import Device
from genvx.core.quantities.amounts import format_memory
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.core.usage import DeviceUsage, Driver, Sensors
from genvx.local.devices.inventory import Inventory
from genvx.local.host import LocalHost
from tests.conftest import ROOT, run_genvx
from tests.helpers import crowded, genvx_argv, genvx_env
from torture import drivers

pytestmark = pytest.mark.needs("cc")

LIBRARY_NOT_FOUND, DRIVER_NOT_LOADED, NO_PERMISSION, MISMATCH = 12, 9, 4, 18
NOT_SUPPORTED, GPU_IS_LOST, TIMEOUT, IRQ_ISSUE, RESET_REQUIRED, UNKNOWN = 3, 15, 10, 11, 16, 999


@pytest.fixture(scope="session")
def libraries(tmp_path_factory) -> dict[str, str]:
    made = {}
    for name in ("new", "old"):
        directory = tmp_path_factory.mktemp("nvml") / name
        made[name] = str(drivers.library(directory, old=name == "old"))
    return made


@pytest.fixture
def machine(libraries, state, monkeypatch):
    """Says what the driver of this machine does, and runs genvx on it."""
    monkeypatch.delenv("GENVX_SIMULATE")

    class Machine:
        def genvx(self, words, *arguments, library="new"):
            env = {"LD_LIBRARY_PATH": libraries[library], "NVML_STANDIN": words}
            return run_genvx(*arguments, env=env)

        def devices(self, words="", library="new"):
            answer = self.genvx(words, "devices", "--json", library=library)
            assert answer.returncode == 0, answer.stderr
            assert "Traceback" not in answer.stderr
            (host,) = json.loads(answer.stdout)["hosts"]
            return host

    return Machine()


def by_state(host):
    return {device["label"]: (device["state"], device["reason"]) for device in host["devices"]}


def test_a_healthy_machine_shows_its_devices(machine):
    host = machine.devices()
    assert host["driver"] == {
        "version": "550.54.15",
        "error": None,
        "simulated": False,
        "notes": [],
    }
    first = host["devices"][0]
    assert (first["uuid"], first["name"], first["memory_bytes"], first["utilization_percent"]) == (
        "GPU-00000000-0000-4000-8000-000000000000",
        "NVIDIA H100 80GB HBM3",
        80 << 30,
        17,
    )
    assert (host["total"], host["available"]) == (2, 2)


def test_a_program_with_many_files_open_sees_the_devices(libraries, machine):
    answer = subprocess.run(
        crowded(genvx_argv("devices")),
        env=genvx_env(LD_LIBRARY_PATH=libraries["new"]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "Total 2 devices with 2 available" in answer.stdout


def test_no_library_is_no_driver_and_zero_devices(cli, state, monkeypatch, tmp_path):
    monkeypatch.delenv("GENVX_SIMULATE")
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"")
    answer = cli("devices", env={"LD_LIBRARY_PATH": str(tmp_path)})
    assert answer.returncode == 0
    assert answer.stderr == "genvx: no NVIDIA driver on this host\n"
    assert "Total 0 devices with 0 available" in answer.stdout


def test_pynvml_is_loaded_only_where_its_library_is():
    code = (
        "import sys; from genvx.local.devices import driverlibrary, nvml; "
        "nvml.report(2); print(('pynvml' in sys.modules) == driverlibrary.load())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], env=genvx_env(), capture_output=True, text=True
    )
    assert answer.stdout == "True\n", answer.stderr


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (DRIVER_NOT_LOADED, "no NVIDIA driver on this host"),
        (LIBRARY_NOT_FOUND, "no NVIDIA driver on this host"),
        (MISMATCH, "reboot, or reload the module"),
        (NO_PERMISSION, "/dev/nvidia*"),
        (UNKNOWN, "NVML does not start"),
    ],
)
def test_a_driver_that_does_not_start_is_one_line_and_acquire_refuses(machine, code, words):
    shown = machine.genvx(f"init={code}", "devices")
    assert (shown.returncode, shown.stderr.count("\n")) == (0, 1)
    assert words in shown.stderr
    asked = machine.genvx(f"init={code}", "run", "-g", "1", "--", "true")
    assert (asked.returncode, asked.stderr.count("\n")) == (3, 1)
    assert words in asked.stderr


def test_leases_stay_readable_without_a_driver(machine):
    answer = machine.genvx(
        "init=9", "run", "-n", "cpu-only", "--", sys.executable, "-m", "genvx", "envs"
    )
    assert "cpu-only" in answer.stdout


@pytest.mark.parametrize(
    "function", ["nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetMemoryInfo_v2"]
)
def test_a_lost_gpu_is_lost_and_the_others_go_on(machine, function):
    words = f"count=3 fail={function}:1:{GPU_IS_LOST}"
    states = {label: state for label, (state, _) in by_state(machine.devices(words)).items()}
    assert states == {"0": "free", "1": "lost", "2": "free"}
    taken = machine.genvx(words, "run", "-g", "2", "--", "sh", "-c", "echo $GENVX_DEVICES")
    assert taken.stdout == "0,2\n"


@pytest.mark.parametrize("code", [RESET_REQUIRED, UNKNOWN, TIMEOUT, IRQ_ISSUE])
def test_a_sick_gpu_is_unhealthy_with_the_reason_and_not_handed_out(machine, code):
    words = f"fail=nvmlDeviceGetUtilizationRates:0:{code}"
    assert by_state(machine.devices(words))["0"] == ("unhealthy", f"stand-in error {code}") or (
        by_state(machine.devices(words))["0"][0] == "unhealthy"
    )
    taken = machine.genvx(words, "run", "-g", "1", "--", "sh", "-c", "echo $GENVX_DEVICES")
    assert taken.stdout == "1\n"


def test_a_driver_that_hangs_at_once_is_given_up_after_the_deadline(machine):
    shown = machine.genvx("hang=nvmlInit:0", "devices")
    assert shown.returncode == 0
    assert "did not answer within 5 s" in shown.stderr


@pytest.mark.parametrize(
    ("fault", "cause"), [("hang", "did not answer within 3 s"), ("crash", "died")]
)
def test_a_device_over_which_the_library_hangs_or_dies_costs_only_itself(machine, fault, cause):
    host = machine.devices(f"count=4 {fault}=nvmlDeviceGetUUID:1")
    states = {label: state for label, (state, _) in by_state(host).items()}
    assert states == {"0": "free", "1": "unknown", "2": "free", "3": "free"}
    (note,) = host["driver"]["notes"]
    assert note.startswith("GPU 1: ")
    assert cause in note


def test_each_device_that_kills_the_library_costs_one_more_question(machine):
    words = " ".join(f"crash=nvmlDeviceGetMemoryInfo_v2:{n}" for n in (0, 2, 3, 5))
    host = machine.devices(f"count=6 nvlink=1:4 {words}")
    assert [device["state"] for device in host["devices"]] == [
        *("unknown", "free", "unknown", "unknown", "free", "unknown"),
    ]
    assert [note.partition(":")[0] for note in host["driver"]["notes"]] == ["GPUs 0, 2, 3, 5"]
    taken = machine.genvx(f"count=6 {words}", "run", "-g", "2", "--", "printenv", "GENVX_DEVICES")
    assert taken.stdout == "1,4\n"


def test_devices_that_are_slow_together_have_until_the_deadline_for_all(machine, monkeypatch):
    monkeypatch.setenv("GENVX_NVML_TIMEOUT", "1s")
    host = machine.devices("count=4 slow=nvmlDeviceGetUUID:*:400")
    states = [device["state"] for device in host["devices"]]
    assert (states[0], states[-1]) == ("free", "unknown")
    assert "within 1 s in all (more: GENVX_NVML_TIMEOUT=30s" in host["driver"]["notes"][0]


def test_a_deadline_that_is_no_time_is_refused(machine, monkeypatch):
    monkeypatch.setenv("GENVX_NVML_TIMEOUT", "soon")
    answer = machine.genvx("", "devices")
    assert (answer.returncode, answer.stderr.count("\n")) == (2, 1)
    assert "GENVX_NVML_TIMEOUT: not a duration: 'soon'" in answer.stderr


def test_texts_of_the_driver_that_are_not_utf8_are_shown_as_far_as_they_are(machine):
    host = machine.devices("name=1:NVIDIA%20H%ff version=0:5%fe%1b")
    assert host["driver"]["version"] == "5\N{REPLACEMENT CHARACTER}\\x1b"
    assert host["devices"][1]["name"] == "NVIDIA H\N{REPLACEMENT CHARACTER}"
    assert host["available"] == 2


@pytest.mark.parametrize(
    ("uuid", "reason"),
    [
        ("a%20b", "its UUID has an odd shape: 'a b'"),
        ("GPU-%ff%1b[2J", "its UUID has an odd shape: 'GPU-\N{REPLACEMENT CHARACTER}\\\\x1b[2J'"),
        ("GPU-00000000-0000-4000-8000-000000000000", "it has the same UUID as GPU 0"),
    ],
)
def test_a_device_with_an_odd_uuid_costs_only_itself_and_says_so(machine, uuid, reason):
    words = f"count=3 uuid=1:{uuid}"
    host = machine.devices(words)
    found = by_state(host)
    assert found["1"] == ("unhealthy", reason)
    assert host["driver"]["notes"] == [f"GPU 1: {reason}"]
    assert (found["0"][0], found["2"][0]) == ("free", "free")
    taken = machine.genvx(words, "run", "-g", "2", "--", "printenv", "GENVX_DEVICES")
    assert taken.stdout == "0,2\n"


def test_memory_that_is_not_told_allows_whole_devices_only(machine):
    words = (
        f"fail=nvmlDeviceGetMemoryInfo:*:{NO_PERMISSION} "
        f"fail=nvmlDeviceGetMemoryInfo_v2:*:{NO_PERMISSION}"
    )
    assert machine.devices(words)["devices"][0]["memory_bytes"] is None
    assert machine.genvx(words, "run", "-g", "1", "--", "true").returncode == 0
    share = machine.genvx(words, "run", "--gpu-memory", "1G", "--", "true")
    assert share.returncode == 2
    assert "cannot be shared" in share.stderr


def test_a_device_without_memory_of_its_own_has_the_systems(machine):
    """GB10 and Jetson; what is in use of the system's says nothing of who uses the GPU."""
    words = (
        f"count=1 used=0:20000 fail=nvmlDeviceGetMemoryInfo:*:{NOT_SUPPORTED} "
        f"fail=nvmlDeviceGetMemoryInfo_v2:*:{NOT_SUPPORTED}"
    )
    (device,) = machine.devices(words)["devices"]
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert device["memory_bytes"] == pytest.approx(total, rel=0.01)
    assert 0 < device["memory_used_bytes"] < total
    assert (device["state"], device["unified_memory"]) == ("free", True)
    share = machine.genvx(words, "run", "--gpu-memory", "1M", "--", "printenv", "GENVX_DEVICES")
    assert share.stdout == "0\n"
    refused = machine.genvx(words, "run", "--gpu-memory", "100T", "--", "true")
    assert f"GPU 0: has {format_memory(device['memory_bytes'])}" in refused.stderr


def test_memory_that_the_kernel_uses_too_makes_no_device_busy(machine):
    host = machine.devices("count=2 used=0:20000 used=1:20000 ats=0")
    assert by_state(host) == {
        "0": ("free", ""),
        "1": ("busy", "19.5 GiB in use by no visible process"),
    }


@pytest.fixture
def mps_server() -> Iterator[int]:
    """The pid of what calls itself a server of MPS."""
    name, wait = "/usr/bin/nvidia-cuda-mps-server", "import sys; sys.stdin.read()"
    with subprocess.Popen([name, "-c", wait], executable=sys.executable, stdin=-1) as process:
        yield process.pid
        process.stdin.close()


def test_a_server_of_mps_alone_is_nobodys_use(machine, mps_server):
    words = f"count=2 compute=0:{mps_server}:30"
    assert machine.devices(words)["available"] == 2
    assert machine.genvx(words, "run", "-g", "2", "--", "true").returncode == 0


@pytest.mark.parametrize("use", ["compute=0:{}:500", "compute=0:{}:-1"])
def test_a_server_of_mps_that_has_much_or_does_not_tell_is_somebodys(machine, mps_server, use):
    assert by_state(machine.devices(use.format(mps_server)))["0"][0] == "busy"


def test_a_client_of_mps_is_a_use_by_its_owner(machine, mps_server):
    me = os.getpid()
    host = machine.devices(f"compute=0:{mps_server}:30 mps=0:{me}:2000 mps=0:{mps_server}:30")
    device = host["devices"][0]
    assert device["state"] == "busy"
    assert {p["pid"]: p["foreign"] for p in device["processes"]} == {mps_server: False, me: True}


def test_the_library_is_found_where_containers_put_it(libraries):
    code = textwrap.dedent(
        f"""
        from genvx.local.devices import driverlibrary
        from genvx.local.devices import survey
        driverlibrary.PLACES = ("/proc/nowhere", {libraries["new"]!r})
        print([device.label for device in survey.survey().devices])
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NVML_STANDIN": "count=3"},
        capture_output=True,
        text=True,
    )
    assert answer.stdout == "['0', '1', '2']\n", answer.stderr


def test_an_old_driver_is_asked_in_its_own_way(machine):
    me = os.getpid()
    host = machine.devices(f"compute=1:{me}:700", library="old")
    assert host["devices"][0]["memory_bytes"] == 80 << 30
    assert [p["pid"] for p in host["devices"][1]["processes"]] == [me]


def test_a_foreign_process_keeps_its_device_and_is_shown(machine):
    me = os.getpid()
    words = f"compute=0:{me}:2000"
    host = machine.devices(words)
    assert by_state(host)["0"][0] == "busy"
    (process,) = host["devices"][0]["processes"]
    assert (process["pid"], process["uid"], process["foreign"]) == (me, os.getuid(), True)
    taken = machine.genvx(words, "run", "-g", "1", "--", "sh", "-c", "echo $GENVX_DEVICES")
    assert taken.stdout == "1\n"
    refused = machine.genvx(words, "run", "-g", "2", "--", "true")
    assert (
        f"in use outside any lease by {host['devices'][0]['processes'][0]['user']}, pid {me}"
        in (refused.stderr)
    )


def test_a_process_of_the_tenant_is_not_foreign(machine):
    me = os.getpid()
    words = f"compute=0:{me}:2000 compute=1:{me}:2000"
    code = "import os; print(os.environ['GENVX_DEVICES'])"
    # Nothing is free for a newcomer, but a device that is leased shows its own user's process as at
    # home.
    assert machine.genvx(words, "run", "-g", "1", "--", sys.executable, "-c", code).returncode == 3
    inside = machine.genvx(
        "", "run", "-g", "2", "--", "env", f"NVML_STANDIN={words}", sys.executable, "-m", "genvx",
        "devices", "--json",
    )  # fmt: skip
    (host,) = json.loads(inside.stdout)["hosts"]
    assert {d["state"] for d in host["devices"]} == {"leased"}
    assert not any(p["foreign"] for d in host["devices"] for p in d["processes"])


def test_a_desktop_is_excepted_below_its_threshold(machine):
    assert machine.devices("graphics=0:1:499")["available"] == 2
    assert machine.devices("graphics=0:1:500")["available"] == 1


def test_a_process_that_draws_and_computes_counts_as_computing(machine):
    assert machine.devices("graphics=0:1:100 compute=0:1:100")["available"] == 1


def test_memory_of_a_process_that_is_not_told_is_none_not_zero(machine):
    host = machine.devices("compute=0:1:-1")
    assert host["devices"][0]["processes"][0]["memory_bytes"] is None


@pytest.mark.parametrize(
    ("samples", "percent"),
    [
        ("", 0),
        ("busy=0:1:37:500", 37),
        ("busy=0:1:37:500 busy=0:1:12:1500", 37),
        ("busy=0:1:12:1500 busy=0:1:37:500", 37),
        ("busy=0:1:37:60000", 0),
        ("busy=0:1:4000000000:500", 0),
        ("busy=0:2:37:500", 0),
        (f"fail=nvmlDeviceGetProcessUtilization:0:{NOT_SUPPORTED}", None),
        (f"fail=nvmlDeviceGetProcessUtilization:0:{UNKNOWN}", None),
    ],
)
def test_a_process_is_as_busy_as_its_newest_sample_says(machine, samples, percent):
    (process,) = machine.devices(f"graphics=0:1:10 {samples}")["devices"][0]["processes"]
    assert process["utilization_percent"] == percent


def test_how_busy_a_process_is_cannot_be_asked_of_an_old_driver(machine):
    words = "graphics=0:1:10 busy=0:1:37:500"
    (process,) = machine.devices(words, library="old")["devices"][0]["processes"]
    assert process["utilization_percent"] is None


def test_much_memory_in_use_by_nobody_in_sight_keeps_a_device_from_being_handed_out(machine):
    words = "count=2 used=0:20480"
    assert by_state(machine.devices(words)) == {
        "0": ("busy", "20 GiB in use by no visible process"),
        "1": ("free", ""),
    }
    taken = machine.genvx(words, "run", "-g", "1", "--", "printenv", "GENVX_DEVICES")
    assert taken.stdout == "1\n"
    refused = machine.genvx(words, "run", "-g", "2", "--", "true")
    assert refused.returncode == 3
    assert "GPU 0: busy (20 GiB in use by no visible process)" in refused.stderr
    assert "20 GiB in use by no visible process" in machine.genvx(words, "doctor").stdout
    assert "no visible process" in machine.genvx(words, "devices").stdout


def test_what_a_driver_keeps_for_itself_makes_no_device_busy(machine):
    assert machine.devices("used=0:700", library="old")["available"] == 2


def test_memory_of_a_process_that_died_just_now_is_waited_for(state):
    device = Device("GPU-0", 0, "A100", 80 << 30)
    used = [DeviceUsage(memory_used=70 << 30)] * 2 + [DeviceUsage(memory_used=4 << 20)]
    surveys = iter([Inventory(Driver("1"), (device,), {"GPU-0": usage}) for usage in used])
    with LocalHost(survey=lambda: next(surveys)).acquire(Ask(Requirements(1))) as hold:
        assert hold.grant.devices == (device,)


def test_a_pid_that_does_not_resolve_still_makes_its_device_busy(machine):
    host = machine.devices("compute=0:4194303:10")
    (process,) = host["devices"][0]["processes"]
    assert (process["uid"], host["devices"][0]["state"]) == (None, "busy")


def test_processes_that_cannot_be_asked_for_are_null_not_an_empty_list(machine):
    words = " ".join(
        f"fail=nvmlDeviceGetComputeRunningProcesses_v{n}:0:{NOT_SUPPORTED}" for n in (2, 3)
    )
    idle = machine.devices(words)["devices"][0]
    assert (idle["processes"], idle["state"]) == (None, "free")
    used = machine.devices(f"{words} used=0:5000")["devices"][0]
    assert (used["processes"], used["state"]) == (None, "busy")


@pytest.mark.needs("namespaces")
def test_in_a_container_used_memory_without_processes_is_somebody_unseen(machine, libraries, state):
    command = [sys.executable, "-m", "genvx", "devices", "--json"]
    answer = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", *command],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LD_LIBRARY_PATH": libraries["new"],
            "NVML_STANDIN": "used=0:5000",
        },
        capture_output=True,
        text=True,
    )
    (host,) = json.loads(answer.stdout)["hosts"]
    assert [(d["processes"], d["state"]) for d in host["devices"]] == [(None, "busy"), ([], "free")]


def test_mig_instances_are_devices_and_hide_their_parent(machine):
    host = machine.devices("count=2 mig=1:3")
    assert [(d["label"], d["uuid"][:3]) for d in host["devices"]] == [
        ("0", "GPU"),
        ("1:0", "MIG"),
        ("1:1", "MIG"),
        ("1:2", "MIG"),
    ]
    assert host["devices"][1]["utilization_percent"] is None


def test_an_outdated_module_of_the_same_name_is_told_apart(machine, libraries, tmp_path):
    (tmp_path / "pynvml.py").write_text("class NVMLError(Exception): pass\n")
    answer = machine.genvx("", "devices")
    assert answer.returncode == 0
    code = textwrap.dedent(
        f"""
        import sys; sys.path.insert(0, {str(tmp_path)!r})
        from genvx.local.devices import survey
        print(survey.survey().driver.error)
        """
    )
    old = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LD_LIBRARY_PATH": libraries["new"]},
        capture_output=True,
        text=True,
    )
    assert "pip uninstall pynvml" in old.stdout, old.stderr


def test_a_program_with_threads_asks_through_a_fresh_process(machine, libraries):
    code = textwrap.dedent(
        """
        import threading
        from genvx.local.devices import survey
        stop = threading.Event()
        threading.Thread(target=stop.wait).start()
        print([d.label for d in survey.survey().devices])
        stop.set()
        """
    )
    answer = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LD_LIBRARY_PATH": libraries["new"],
            "NVML_STANDIN": "count=3",
        },
        capture_output=True,
        text=True,
    )
    assert answer.stdout == "['0', '1', '2']\n", answer.stderr


def test_a_survey_that_hangs_does_not_keep_a_lease_of_its_parent_alive(machine, libraries):
    """The abandoned child must not hold the lease's descriptor for ever."""
    code = textwrap.dedent(
        """
        import os
        os.environ["GENVX_SIMULATE"] = "1xA100-80GB"
        from genvx.core.requests.ask import Ask
        from genvx.core.requests.requirements import Requirements
        from genvx.local.devices import child
        from genvx.local.host import LocalHost
        host = LocalHost()
        hold = host.acquire(Ask(Requirements(1)))
        pid, pipe = child.start_child()
        while not os.path.exists(f"/proc/{pid}/fd/3"):
            pass
        import time
        end = time.monotonic() + 10
        while any(int(n) >= 100 for n in os.listdir(f"/proc/{pid}/fd")) and time.monotonic() < end:
            pass
        import json; print(json.dumps(os.listdir(f"/proc/{pid}/fd")))
        os.kill(pid, 9)
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LD_LIBRARY_PATH": libraries["new"],
            "NVML_STANDIN": "hang=nvmlInit:0",
        },
        capture_output=True,
        text=True,
    )
    assert not any(int(n) >= 100 for n in json.loads(answer.stdout)), answer


def test_the_table_shows_who_keeps_a_device_busy(machine):
    answer = machine.genvx(f"compute=0:{os.getpid()}:2000", "devices")
    line = answer.stdout.splitlines()[1]
    assert "busy" in line
    assert f"(pid {os.getpid()})" in line


def test_the_doctor_names_what_is_wrong_with_each_device(machine):
    words = f"count=3 compute=0:{os.getpid()}:2000 fail=nvmlDeviceGetMemoryInfo_v2:1:{GPU_IS_LOST}"
    answer = machine.genvx(words, "doctor")
    assert answer.returncode == 4
    assert "warning: in use outside any lease by pid" in answer.stdout
    assert "error: lost" in answer.stdout
    assert "NVIDIA driver 550.54.15" in answer.stdout


def test_an_index_is_that_of_cuda_and_not_that_of_nvml(machine):
    words = "count=3 pci=0:7 pci=1:2 pci=2:5"
    for label, index in (("0", "2"), ("1", "0"), ("2", "1")):
        command = ("--visible-as", "index", "--", "printenv", "CUDA_VISIBLE_DEVICES")
        assert machine.genvx(words, "run", "--device", label, *command).stdout == f"{index}\n"


@pytest.mark.parametrize(
    ("fault", "sure"),
    [
        (f"fail=nvmlDeviceGetMemoryInfo_v2:1:{GPU_IS_LOST}", "0"),
        ("mig=1:2", "0"),
        ("mig=1:0", "0"),
        (f"fail=nvmlDeviceGetHandleByIndex_v2:1:{GPU_IS_LOST}", ""),
        ("crash=nvmlDeviceGetUUID:1", ""),
        (f"fail=nvmlDeviceGetPciInfo_v3:1:{NOT_SUPPORTED}", ""),
    ],
)
def test_behind_a_gpu_that_cuda_may_not_count_no_index_is_sure(machine, fault, sure):
    words = f"count=3 {fault}"
    index = ("--visible-as", "index", "--", "printenv", "CUDA_VISIBLE_DEVICES")
    for label in ("0", "2"):
        answer = machine.genvx(words, "run", "--device", label, *index)
        assert answer.stdout == (f"{label}\n" if label in sure else "")
        assert ("has no sure index" in answer.stderr) is (label not in sure)
    assert machine.genvx(words, "run", "--device", "2", "--", "true").returncode == 0


def test_the_nearest_devices_are_taken_together(machine):
    """NVLink before a bridge, a bridge before another NUMA node."""
    words = "count=4 nvlink=1:3 node=0:1"
    answer = machine.genvx(words, "run", "-g", "2", "--", "printenv", "GENVX_DEVICES")
    assert answer.stdout == "1,3\n"
    answer = machine.genvx(words, "run", "-g", "3", "--", "printenv", "GENVX_DEVICES")
    assert answer.stdout == "1,2,3\n"


def test_some_devices_are_asked_for_without_the_others(libraries):
    code = textwrap.dedent(
        """
        from genvx.local.devices import child, survey
        found = survey.survey(5.0, frozenset({1})).usage
        print([(uuid[:9], use.utilization) for uuid, use in sorted(found.items())])
        print(child.abandoned() and "a child is left")
        """
    )
    answer = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "LD_LIBRARY_PATH": libraries["new"],
            "NVML_STANDIN": "count=2 hang=nvmlDeviceGetMemoryInfo_v2:0 hang=nvmlDeviceGetName:0",
        },
        capture_output=True,
        text=True,
    )
    assert "('GPU-00000', 17), ('UNKNOWN-0', None)" in answer.stdout, answer


SENSED = """\
import sys
from genvx.local.host import LocalHost

for sensors in (False, True):
    snapshot = LocalHost().snapshot(sensors=sensors)
    print(*(snapshot.usage_of(device).sensors for device in snapshot.devices), sep="\\n")
"""


def test_sensors_are_read_on_request_and_one_that_fails_is_unknown(libraries, state, monkeypatch):
    monkeypatch.delenv("GENVX_SIMULATE")
    monkeypatch.setenv("LD_LIBRARY_PATH", libraries["new"])
    monkeypatch.setenv("NVML_STANDIN", f"fail=nvmlDeviceGetPowerUsage:1:{GPU_IS_LOST}")
    answer = subprocess.run(
        [sys.executable, "-c", SENSED], capture_output=True, text=True, env=genvx_env()
    )
    assert answer.returncode == 0, answer.stderr
    rest = (41, 1410, 1593, 3, 2)
    assert answer.stdout.splitlines() == [
        "None",
        "None",
        str(Sensors(70_500, *rest)),
        str(Sensors(None, *rest)),
    ]
