"""Hosts on which nothing is installed: the agent gets there, is checked, and is kept or not."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pynvml
import pytest

from genvx.core.wire.call import Call
from genvx.core.wire.replyreader import ReplyReader
from genvx.errors import AgentError
from genvx.fleet.delivery import bootstrap, installer, loader, pack, stripped
from genvx.fleet.delivery.probe import probe_command, probed
from genvx.fleet.hosts.hostfile import parse
from tests.capabilities import USER_A, old_pythons
from tests.helpers import ROOT, Terminal, genvx_argv, genvx_env, waylay

TOKEN = "ab" * 16
SPEC = parse("host")[0]


class FarEnd:
    """What sshd would run for the user of a home: a login shell that is given our command."""

    def __init__(self, home, **environ):
        self.home = home
        self.environ = {
            "HOME": str(home),
            "PATH": "/usr/bin:/bin",
            "GENVX_STATE_DIR": str(home / "state"),
            "GENVX_SIMULATE": "2xA100-80GB",
            **environ,
        }
        self.errors = ""

    def ask(
        self, operation="snapshot", *, spec=SPEC, shell=("sh",), wrap=(), offer=True, parcel=None
    ):
        """One call; returns the reply, and whether the agent was asked for.

        parcel: what is sent instead of the agent.
        """
        call = Call(operation, TOKEN)
        with subprocess.Popen(
            [*wrap, *shell, "-c", bootstrap.agent_command(spec, TOKEN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ,
            cwd="/",
        ) as process:
            process.stdin.write(call.to_bytes())
            process.stdin.flush()
            reader, reply, needed = ReplyReader(TOKEN), None, False
            while reply is None:
                data = os.read(process.stdout.fileno(), 65536)
                if not data:
                    break
                reply = reader.feed(data)
                if reader.agent_needed and not needed:
                    needed = True
                    if not offer:
                        break
                    process.stdin.write(parcel or bootstrap.agent_parcel())
                    process.stdin.flush()
            process.stdin.close()
            self.errors = process.stderr.read().decode()
            self.homeless = reader.agent_homeless
        self.code = process.returncode
        return reply, needed

    @property
    def agents(self):
        return sorted((self.home / ".cache" / "genvx").glob("*"))


@pytest.fixture
def far_end(short_tmp):
    home = short_tmp / "home"
    home.mkdir()
    return FarEnd(home)


def answered(answer):
    """Whether there was an answer and a right one; gives whether the agent was asked for."""
    reply, needed = answer
    assert len(reply.result()["devices"]) == 2
    return needed


def test_the_agent_is_asked_for_once_and_then_found(far_end):
    assert [answered(far_end.ask()) for _ in range(3)] == [True, False, False]


def test_the_agent_is_one_private_file_named_by_its_digest(far_end):
    answered(far_end.ask())
    (agent,) = far_end.agents
    assert agent.name.startswith(f"agent-{pack.digest()}.")
    assert (agent.stat().st_mode & 0o777, agent.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_cache_directory_is_the_one_that_the_user_has_chosen(far_end, short_tmp):
    far_end.environ["XDG_CACHE_HOME"] = str(short_tmp / "elsewhere")
    answered(far_end.ask())
    assert far_end.agents == []
    assert len(list((short_tmp / "elsewhere" / "genvx").iterdir())) == 1


def test_a_library_of_another_version_makes_another_agent(tmp_path):
    shutil.copy(pynvml.__file__, tmp_path)
    code = "from genvx.fleet.delivery import pack; print(pack.digest())"

    def digest():
        env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
        return subprocess.check_output([sys.executable, "-c", code], env=env, text=True).strip()

    assert digest() == pack.digest()
    with (tmp_path / "pynvml.py").open("a") as file:
        file.write("# another version\n")
    assert digest() != pack.digest()


def test_many_threads_that_want_the_agent_make_it_once():
    """As where a fleet is asked for the first time; in Python 3.11 two ast.parse at once fail."""
    parsed, everybody = [], threading.Barrier(8)

    @pack._once
    def program():
        parsed.append(pack.loader.__file__)
        return stripped.program_of(Path(pack.loader.__file__).read_text())

    def want(_):
        everybody.wait()
        return program()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(want, range(8)))) == 1
    assert parsed == [pack.loader.__file__]


# Whatever the host is like


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(shell, marks=pytest.mark.needs(shell))
        for shell in ("bash", "zsh", "fish", "tcsh", "dash")
    ],
)
def test_any_login_shell_starts_it(far_end, shell):
    assert answered(far_end.ask(shell=(shell,)))
    assert not answered(far_end.ask(shell=(shell,)))


def test_start_up_files_that_print_do_not_matter(far_end):
    (far_end.home / ".zshenv").write_text("echo GENVX-NEED nobody; printf 'open line'; echo x >&2")
    far_end.environ["BASH_ENV"] = str(far_end.home / ".zshenv")
    assert answered(far_end.ask(shell=("bash",)))


def test_an_empty_path_is_enough(far_end):
    far_end.environ["PATH"] = ""
    assert answered(far_end.ask(shell=("/bin/sh",)))


def test_variables_and_a_directory_full_of_traps_do_not_matter(far_end, short_tmp):
    """PYTHONPATH, PYTHONSTARTUP, a json.py in the current directory: none is looked at."""
    (short_tmp / "json.py").write_text("raise SystemExit(9)")
    far_end.environ |= {"PYTHONPATH": str(short_tmp), "PYTHONHOME": "/nowhere"}
    assert answered(far_end.ask(wrap=("env", "-C", str(short_tmp))))


@pytest.mark.needs("pythons")
@pytest.mark.parametrize("python", old_pythons())
def test_every_python_from_3_9_runs_it(far_end, python):
    spec = parse(f"host python={python}")[0]
    assert answered(far_end.ask(spec=spec))
    assert not answered(far_end.ask(spec=spec))


def test_pythons_of_two_versions_have_an_agent_each(far_end):
    answered(far_end.ask())
    (agent,) = far_end.agents
    agent.rename(agent.with_name(agent.name.rpartition(".")[0] + ".cpython-399"))
    assert answered(far_end.ask())
    assert len(far_end.agents) == 2


def old_python(directory, name="python3"):
    """A Python that is too old, as far as the loader can see."""
    real = os.path.realpath(sys.executable)
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(
        f"#!/bin/sh\nexec {real} -I -S -c "
        "\"import sys; sys.version_info = (3, 6, 15); sys.version = '3.6.15 (old)'; "
        'import binascii; exec(binascii.a2b_base64(sys.argv[1]))" "$5" "$6" "$7"\n'
    )
    path.chmod(0o755)


def test_a_python_that_is_too_old_gives_way_to_a_newer_one_on_the_path(far_end, short_tmp):
    old_python(short_tmp / "bin")
    real = os.path.realpath(sys.executable)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    (short_tmp / "bin" / f"python{version}").symlink_to(real)
    far_end.environ["PATH"] = f"{short_tmp}/bin"
    assert answered(far_end.ask(shell=("/bin/sh",)))
    assert far_end.agents[0].name.endswith(sys.implementation.cache_tag)


def test_a_shim_is_passed_over_for_a_real_interpreter(far_end, short_tmp):
    shims = short_tmp / "shims"
    shims.mkdir()
    (shims / "python3").write_text("#!/bin/sh\necho a shim >&2\nexit 1\n")
    (shims / "python3").chmod(0o755)
    far_end.environ["PATH"] = f"{shims}:/usr/bin:/bin"
    assert answered(far_end.ask())


HIDE_PYTHONS = (
    "for f in /usr/bin/python3* /usr/local/bin/python3*; do "
    '[ -e "$f" ] && mount --bind /dev/null "$f"; done; exec "$@"'
)
IN_NAMESPACE = ("unshare", "--mount", "sh", "-c")


@pytest.mark.needs("root", "namespaces")
def test_a_host_without_python_is_told_what_was_looked_for(far_end):
    reply, needed = far_end.ask(wrap=(*IN_NAMESPACE, HIDE_PYTHONS, "x"))
    assert (reply, needed, far_end.code) == (None, False, 127)
    error = bootstrap.not_started(SPEC, far_end.code, far_end.errors)
    assert isinstance(error, bootstrap.NotStarted)
    assert str(error) == (
        "the host has no Python 3.9 or newer; looked for python3 and python3.9 to python3.14 on "
        "the PATH of a non-interactive shell, in /usr/local/bin, /usr/bin, /bin and ~/.local/bin; "
        "name one with python= in the hostfile"
    )


def test_a_python_that_is_too_old_is_one_that_does_not_start(far_end, short_tmp):
    old_python(short_tmp / "old")
    spec = dataclasses.replace(SPEC, python=str(short_tmp / "old" / "python3"))
    far_end.environ["PATH"] = "/nowhere"
    reply, _ = far_end.ask(spec=spec, shell=("/bin/sh",))
    assert reply is None
    assert isinstance(
        bootstrap.not_started(SPEC, far_end.code, far_end.errors), bootstrap.NotStarted
    )


# Wherever it can be kept


@pytest.fixture
def apart(tmp_path):
    """A far end whose /var/tmp is a directory of this test's alone."""
    (tmp_path / "home").mkdir()
    (tmp_path / "var").mkdir(mode=0o777)
    far_end = FarEnd(tmp_path / "home")
    far_end.var_tmp = tmp_path / "var"
    mount = f'mount --bind {tmp_path}/var /var/tmp && "$@"; code=$?; '
    far_end.wrap = (*IN_NAMESPACE, f'{mount} ls -A "$HOME/.cache" >&2; exit $code', "x")
    return far_end


def kept(far_end):
    """What lies in /var/tmp."""
    place = far_end.var_tmp / f".genvx-agent-{os.geteuid()}"
    return [path.name.split(".")[0] for path in place.glob("*")]


@pytest.mark.needs("root", "namespaces")
def test_where_the_home_cannot_be_written_it_is_kept_in_var_tmp(apart):
    apart.environ["HOME"] = "/proc/nobody"
    assert answered(apart.ask(wrap=apart.wrap))
    assert kept(apart) == [f"agent-{pack.digest()}"]
    assert not answered(apart.ask(wrap=apart.wrap))


@pytest.mark.needs("root", "namespaces")
def test_a_full_home_keeps_no_half_of_it(apart, short_tmp):
    apart.environ["GENVX_STATE_DIR"] = str(apart.var_tmp)
    full = f"mount -t tmpfs -o size=64k none $HOME; {apart.wrap[4]}"
    answer = apart.ask(wrap=(*IN_NAMESPACE, full, "x"))
    assert apart.errors == ""
    answered(answer)
    assert kept(apart) == [f"agent-{pack.digest()}"]


UNWRITABLE = ("sh", "-c", 'ulimit -f 0; exec "$@"', "x")


def test_where_nothing_can_be_written_it_runs_from_memory_each_time(far_end):
    for _ in range(2):
        assert answered(far_end.ask(wrap=UNWRITABLE))
        assert far_end.homeless
    assert far_end.agents == []


# Whoever else was there


def spoil_mode(agent):
    agent.chmod(0o666)


def spoil_directory(agent):
    agent.parent.chmod(0o777)


def spoil_length(agent):
    os.truncate(agent, agent.stat().st_size // 2)


def spoil_list(agent):
    with open(agent, "r+b") as file:
        file.seek(80)
        file.write(b"\0\0\0\0")


def spoil_python(agent):
    with open(agent, "r+b") as file:
        file.write(b"\0\0")


def spoil_kind(agent):
    agent.unlink()
    os.mkfifo(agent, 0o600)


def spoil_link(agent):
    agent.rename(agent.with_name("elsewhere"))
    agent.symlink_to("elsewhere")


@pytest.mark.needs("root", "namespaces")
@pytest.mark.parametrize(
    "spoil",
    [spoil_mode, spoil_directory, spoil_length, spoil_list, spoil_python, spoil_kind, spoil_link],
)
def test_an_agent_that_cannot_be_trusted_is_not_run_but_replaced(apart, spoil):
    answered(apart.ask(wrap=apart.wrap))
    spoil(apart.agents[0])
    assert answered(apart.ask(wrap=apart.wrap))


@pytest.mark.needs("root", "namespaces")
@pytest.mark.parametrize("whose", ["file", "directory"])
def test_an_agent_of_somebody_else_is_not_run(apart, whose):
    answered(apart.ask(wrap=apart.wrap))
    (agent,) = apart.agents
    os.chown(agent if whose == "file" else agent.parent, USER_A, USER_A)
    assert answered(apart.ask(wrap=apart.wrap))


def test_a_damaged_agent_is_told_deleted_and_replaced(far_end):
    answered(far_end.ask())
    (agent,) = far_end.agents
    data = bytearray(agent.read_bytes())
    at = len(data) - len(loader.parts(bytes(data))[2])
    data[at:at] = b"x"
    del data[-1]
    agent.write_bytes(data)
    reply, _ = far_end.ask()
    assert reply is None
    assert "was damaged, and is deleted; try again" in far_end.errors
    assert answered(far_end.ask())


def test_a_parcel_that_was_changed_on_its_way_is_not_run(far_end):
    program, bundle = pack.installer_text(), zlib.compress(b'{"genvx": [true, "1/0"]}')
    head = f"GENVX-AGENT {len(program)} {len(bundle)}\n".encode()
    reply, needed = far_end.ask(parcel=head + program + bundle)
    assert (reply, needed, far_end.agents) == (None, True, [])
    assert "damaged on its way" in far_end.errors


def test_an_agent_that_cannot_be_compiled_there_ends_the_call_in_one_line(capfd):
    def compile_it():
        raise MemoryError

    with pytest.raises(SystemExit, match="the agent could not be compiled here"):
        installer.apart(compile_it)
    assert capfd.readouterr() == ("", "")


def test_many_clients_at_once_leave_one_agent(far_end):
    answers = []
    ends = [FarEnd(far_end.home, **far_end.environ) for _ in range(8)]
    threads = [threading.Thread(target=lambda end=end: answers.append(end.ask())) for end in ends]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(answered(answer), bool) for answer in answers)
    assert len(answers) == 8
    assert len(far_end.agents) == 1


def test_agents_that_nobody_used_for_a_month_are_deleted(far_end):
    place = far_end.home / ".cache" / "genvx"
    place.mkdir(parents=True, mode=0o700)
    now = time.time()  # noqa: TID251  # what the times of files are
    for days, digit in ((31, "a"), (29, "b")):
        name = f"agent-{digit * 64}.cpython-311"
        (place / name).write_bytes(b"")
        os.utime(place / name, (now - days * 86400,) * 2)
    (place / "notes.txt").write_text("the user's own")
    os.utime(place / "notes.txt", (0, 0))
    answered(far_end.ask())
    left = {path.name[:7] for path in far_end.agents}
    assert left == {"agent-b", f"agent-{pack.digest()[0]}", "notes.t"}


def test_an_agent_in_use_is_kept(far_end):
    answered(far_end.ask())
    (agent,) = far_end.agents
    os.utime(agent, (0, 0))
    answered(far_end.ask())
    assert time.time() - agent.stat().st_mtime < 3600  # noqa: TID251


def test_a_client_that_goes_away_instead_of_sending_it_leaves_nothing(far_end):
    far_end.ask(offer=False)
    assert far_end.code == 1
    assert not (far_end.home / ".cache").exists()


def test_the_loader_has_nothing_that_a_login_shell_would_look_at():
    command = bootstrap.agent_command(SPEC, TOKEN, "abc_-")
    inside = command.split("'")[1]
    assert not set("'\\!\n") & set(inside)
    outside = command.split("'")[0] + command.split("'")[2]
    assert not set('"$`;&|<>(){}[]*?~#!\\\n') & set(outside)


# Over real SSH


@pytest.mark.needs("openssh")
def test_hosts_that_have_never_seen_genvx_lease_and_run(unseen, cli):
    answer = cli("remote", "-q", "run", "-g", "2", "--", "sh", "-c", "echo on $GENVX_DEVICES")
    assert (answer.stdout, answer.stderr, answer.returncode) == ("on 0,1\n", "", 0)


@pytest.mark.needs("openssh")
def test_a_shell_in_a_terminal_is_refused_where_the_agent_has_no_home(unseen):
    from genvx.fleet.fleet import connect_fleet
    from genvx.fleet.hosts.hostfile import load

    waylay(unseen, "gpu-server-1", "ulimit -f 0")
    specs = load(unseen.hostfile)
    with connect_fleet(specs, config=unseen.ssh_config) as fleet:
        fleet.snapshot()
        with pytest.raises(AgentError, match="genvx cannot write on the host"):
            fleet.hosts[0].require_terminal()
        assert fleet.ask(lambda host: host.snapshot()).failed == {}


# Several Pythons


def python(directory, name, lines):
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(0o755)
    return path


NO_LIBRARY = "echo $0: error while loading shared libraries: libx.so: no such file >&2; exit 127"


def probe(far_end, shell="sh"):
    answer = subprocess.run(
        [shutil.which(shell) or shell, "-c", probe_command(TOKEN)],
        env=far_end.environ,
        cwd="/",
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    return probed(answer.stdout, TOKEN)


@pytest.mark.parametrize(
    "shell",
    [
        pytest.param(shell, marks=pytest.mark.needs(shell))
        for shell in ("bash", "zsh", "fish", "tcsh", "dash")
    ],
)
def test_of_several_pythons_the_first_that_starts_is_found(far_end, short_tmp, shell):
    python(short_tmp / "a", "python3", NO_LIBRARY)
    python(short_tmp / "b", "python3", "kill -SEGV $$")
    python(short_tmp / "b", "python3.12", "echo 3.8.1; exit 1")
    python(short_tmp / "shims", "python3", f'exec {sys.executable} "$@"')
    good = python(short_tmp / "c", "python", f'exec {sys.executable} "$@"')
    far_end.environ["PATH"] = ":".join(str(short_tmp / name) for name in ("a", "b", "shims", "c"))
    found = probe(far_end, shell)
    # Machines differ in what is in /usr/bin, which is looked at behind that.
    assert found in (str(good), "/usr/bin/python3", "/usr/local/bin/python3", "/bin/python3")


def test_a_refusal_says_of_each_python_why(far_end, short_tmp):
    token = TOKEN
    said = (
        f"Welcome\nGENVX-TRIED {token} 127 /a/python3: /a/python3: error while loading libx.so\n"
        f"GENVX-TRIED {token} 1 /b/python3: 3.6.8\nGENVX-TRIED {token} 139 /c/python3: \n"
        f"GENVX-TRIED {token} 126 /d/py: \x1b[31m\x07\nGENVX-TRIED {token} 1 /e/python: 2.7\n"
        "GENVX-TRIED other 1 /f/python: 2.7\nGENVX-PYTHON other /bin/sh\n"
        f"GENVX-PYTHON {token} /bin/sh; rm\n"
    )
    with pytest.raises(AgentError) as caught:
        probed(said.encode(), token)
    assert str(caught.value) == (
        "the host has no Python 3.9 or newer that starts: /a/python3: error while loading libx.so; "
        "/b/python3: it is 3.6.8; /c/python3: exit code 139; /d/py: \\x1b[31m\\x07; and 1 more; "
        "name one with python= in the hostfile"
    )


@pytest.mark.needs("openssh")
def test_a_first_python_that_does_not_start_is_passed_over(sandbox, cli):
    host = sandbox.hosts[0]
    other = Path(host.home) / "bin"
    python(other, "python3", NO_LIBRARY)
    path = Path(host.home) / ".bashrc"
    path.write_text(f"PATH={other}:{sandbox.directory}/bin:$PATH\n")
    answer = cli("remote", "-q", "-H", "gpu-server-1", "run", "-g", "1", "--", "echo", "ran")
    assert (answer.stdout, answer.stderr, answer.returncode) == ("ran\n", "", 0)


@pytest.mark.needs("openssh")
def test_a_shell_in_a_terminal_passes_over_it_too(sandbox):
    host = sandbox.hosts[0]
    other = Path(host.home) / "bin"
    python(other, "python3", NO_LIBRARY)
    Path(host.home, ".bashrc").write_text(f"PATH={other}:{sandbox.directory}/bin:$PATH\nPS1='$ '\n")
    argv = genvx_argv("remote", "-H", "gpu-server-1", "activate", "--gpus", "1")
    shell = Terminal(argv, genvx_env())
    shell.expect("gpu-server-1 $ ")
    shell.line("exit 5")
    assert shell.end() == 5
