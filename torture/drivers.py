"""F15: every way in which NVML is known to fail, at every function, against the real pynvml.

The library is a stand-in that is compiled here; what it does is said in $NVML_STANDIN. Device 1 has
the fault, the others are well: they must be told apart and handed out, whatever device 1 does.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torture import ground
from torture.trial import Outcome, Trial

_FUNCTIONS = (
    "nvmlDeviceGetHandleByIndex_v2",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetName",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetMemoryInfo_v2",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetMigMode",
    "nvmlDeviceGetComputeRunningProcesses_v3",
    "nvmlDeviceGetGraphicsRunningProcesses_v3",
)
# Where a device is on the bus, and whose its memory is: with these, only an index is not known.
_PLACES = ("nvmlDeviceGetPciInfo_v3", "nvmlDeviceGetAddressingMode")
# Of the ways between devices: whatever is wrong with these, the devices are as they are.
_WAYS = ("nvmlDeviceGetP2PStatus", "nvmlDeviceGetTopologyCommonAncestor")
# Asked only where the newer form is missing.
_OLD = ("nvmlDeviceGetMemoryInfo",)
_GONE_OR_SICK = {15: "lost", 10: "unhealthy", 11: "unhealthy", 16: "unhealthy", 999: "unhealthy"}
_NOT_TOLD = (3, 4, 13)  # not supported, no permission, function not found
_WITHIN = 5.5


@dataclass(frozen=True)
class Case:
    """words: what the library does. wanted: the state of each device, or None for no devices."""

    words: str
    wanted: tuple[str, ...] | None
    old: bool = False


def _cases() -> Iterator[Case]:
    yield Case("count=2", ("free", "free"))
    yield Case("count=2", ("free", "free"), old=True)
    yield Case("count=0", ())
    for code in (9, 12, 18, 4, 999):
        yield Case(f"init={code}", None)
    yield Case("hang=nvmlInit:0", None)
    yield Case("count=2 mig=1:2", ("free", "free", "free"))
    yield Case("count=2 compute=1:1:1024", ("free", "busy"))
    yield Case("count=2 compute=1:4000000:1024", ("free", "busy"))
    yield Case("count=2 compute=1:1:-1", ("free", "busy"))
    yield Case("count=2 graphics=1:1:100", ("free", "free"))
    yield Case("count=2 graphics=1:1:5000", ("free", "busy"))
    yield Case("count=2 mps=1:1:1024", ("free", "busy"))
    yield Case("count=2 used=1:20000 ats=1", ("free", "free"))
    yield Case("count=2 used=1:400", ("free", "free"))
    yield Case("count=2 used=1:20000", ("free", "busy"))
    yield Case("count=2 used=1:20000", ("free", "busy"), old=True)
    yield Case("count=2 used=1:20000 graphics=1:1:100", ("free", "busy"))
    for function in _FUNCTIONS:
        for code, state in _GONE_OR_SICK.items():
            yield Case(f"count=2 fail={function}:1:{code}", ("free", state), function in _OLD)
    for function in _FUNCTIONS[2:]:
        for code in _NOT_TOLD:
            yield Case(f"count=2 fail={function}:1:{code}", None, function in _OLD)
    for fault in ("hang", "crash"):
        for function in _FUNCTIONS:
            wanted = ("free", "unknown", "free")
            yield Case(f"count=3 {fault}={function}:1", wanted, function in _OLD)
    yield Case(
        f"count=3 crash={_FUNCTIONS[0]}:0 crash={_FUNCTIONS[1]}:2", ("unknown", "free", "unknown")
    )
    for name in ("GPU-00000000-0000-4000-8000-000000000000", "a%20b", "GPU-%ff", "%1b[2J", ""):
        yield Case(f"count=3 uuid=1:{name}", ("free", "unhealthy", "free"))
    yield Case("count=2 name=1:%ff%1b version=0:%ff%1b", ("free", "free"))
    # What a process does is only shown; that of a desktop keeps no device from being handed out.
    desktop, busy = "count=2 graphics=1:1:100", "nvmlDeviceGetProcessUtilization"
    for code in (*_GONE_OR_SICK, *_NOT_TOLD):
        yield Case(f"{desktop} fail={busy}:1:{code}", ("free", "free"))
    yield Case(f"{desktop} hang={busy}:1", ("free", "unknown"))
    for function in _PLACES:
        for code in (*_GONE_OR_SICK, *_NOT_TOLD):
            yield Case(f"count=2 fail={function}:1:{code}", ("free", "free"))
        yield Case(f"count=3 crash={function}:1", ("free", "unknown", "free"))
    for function in _WAYS:
        for code in (*_GONE_OR_SICK, *_NOT_TOLD):
            yield Case(f"count=2 fail={function}:*:{code}", ("free", "free"))
        for fault in ("hang", "crash"):
            yield Case(f"count=2 {fault}={function}:*", ("free", "free"))


# Surveys for one library, in a process that was started with it: a loader looks for libraries where
# it was told when the process began.
_SURVEYOR = """
import json, os, sys, time
from genvx.core.requests.ask import Ask
from genvx.core.requests.requirements import Requirements
from genvx.errors import NoCapacity
from genvx.local.devices.survey import survey
from genvx.local.host import LocalHost
for line in sys.stdin:
    os.environ["NVML_STANDIN"] = line.strip()
    begin = time.monotonic()
    try:
        inventory = survey()
        took = time.monotonic() - begin
        host = LocalHost(survey=lambda: inventory)
        snapshot = host.snapshot()
        states = [snapshot.state(device).value for device in snapshot.devices]
        try:
            with host.acquire(Ask(Requirements(max(1, len(snapshot.available))))) as held:
                taken = [device.index for device in held.grant.devices]
        except NoCapacity as refusal:
            taken = str(refusal)
        answer = {"states": states, "error": inventory.driver.error, "took": took, "taken": taken}
    except Exception as error:
        answer = {"raised": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
"""


def zoo(trial: Trial) -> Outcome:
    """F15."""
    outcome = Outcome()
    variables = ground.provisioned(trial.place / "state")
    del variables["GENVX_SIMULATE"]
    cases = list(_cases())
    if not trial.full:
        # All that is quick, and two of those that wait for the deadline.
        hanging = [case for case in cases if "hang" in case.words]
        chosen = trial.chance().sample(hanging, 2)
        cases = [case for case in cases if case not in hanging or case in chosen]
    longest = 0.0
    surveyors = {old: _start(trial, variables, old) for old in (False, True)}
    for case in cases:
        if outcome.enough:
            break
        answer = _ask(surveyors[case.old], case)
        longest = max(longest, answer.get("took", 0.0))
        _judge(outcome, case, answer)
    for surveyor in surveyors.values():
        surveyor.communicate()
    _without_library(outcome, trial, variables)
    outcome.seen.append(
        f"{len(cases) + 1} drivers, {len(outcome.violations)} violations, longest {longest:.2f} s"
    )
    return outcome


def library(directory: Path, *, old: bool) -> Path:
    """Compile the stand-in; return the directory that it is in. old: a driver of 2020."""
    directory.mkdir(parents=True)
    source = Path(__file__).with_name("nvml_standin.c")
    flags = [
        "-shared",
        "-fPIC",
        "-Wl,-soname,libnvidia-ml.so.1",
        "-O1",
        "-Wall",
        "-Werror",
        *(["-DOLD_DRIVER"] if old else []),
    ]
    made = directory / "libnvidia-ml.so.1"
    subprocess.run(["cc", *flags, "-o", made, source], check=True)
    return directory


def _start(trial: Trial, variables: dict[str, str], old: bool) -> subprocess.Popen[str]:
    path = library(trial.place / ("old" if old else "new"), old=old)
    return subprocess.Popen(
        [sys.executable, "-c", _SURVEYOR],
        env=ground.command_environ(variables | {"LD_LIBRARY_PATH": str(path)}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _ask(surveyor: subprocess.Popen[str], case: Case) -> dict[str, object]:
    assert surveyor.stdin is not None
    assert surveyor.stdout is not None
    surveyor.stdin.write(case.words + "\n")
    surveyor.stdin.flush()
    line = surveyor.stdout.readline()
    answer: dict[str, object] = json.loads(line) if line else {"raised": "the surveyor died"}
    return answer


def _judge(outcome: Outcome, case: Case, answer: dict[str, object]) -> None:
    where = f"{case.words}{', an old driver' if case.old else ''}"
    if "raised" in answer:
        outcome.violated(f"{where}: {answer['raised']}")
        return
    states, took = answer["states"], answer["took"]
    assert isinstance(states, list)
    assert isinstance(took, float)
    outcome.check(took <= _WITHIN, f"{where}: took {took:.1f} s")
    if case.wanted is not None:
        outcome.check(states == list(case.wanted), f"{where}: {states}")
        outcome.check(answer["error"] is None, f"{where}: {answer['error']}")
    elif "init" in case.words.lower():
        error = answer["error"]
        outcome.check(
            isinstance(error, str) and error.isprintable() and not states, f"{where}: {error!r}"
        )
        return
    else:
        outcome.check(states[:1] == ["free"] and len(states) == 2, f"{where}: {states}")
    # All that is free can be had, and nothing else.
    if case.wanted != ():
        taken = answer["taken"]
        free = states.count("free")
        outcome.check(isinstance(taken, list) and len(taken) == free, f"{where}: took {taken}")
        well = states.index("free")
        outcome.check(
            isinstance(taken, list) and well in taken, f"{where}: the well one is not had"
        )


def _without_library(outcome: Outcome, trial: Trial, variables: dict[str, str]) -> None:
    """No library at all, through the command line."""
    broken = trial.place / "broken"
    broken.mkdir()
    (broken / "libnvidia-ml.so.1").write_bytes(b"")
    environ = ground.command_environ(variables | {"LD_LIBRARY_PATH": str(broken)})
    for arguments, code in ((["devices"], 0), (["run", "-g", "1", "--", "true"], 3)):
        answer = subprocess.run(
            ground.genvx(*arguments), env=environ, capture_output=True, text=True, check=False
        )
        fine = (answer.returncode, answer.stderr.count("\n")) == (code, 1)
        outcome.check(fine, f"no library: {arguments}: {answer.returncode} {answer.stderr}")
