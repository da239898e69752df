"""What a keeper decides: where it is, whether files have changed, which answers are old."""

import os
import pwd
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from genvx.core.wire.reply import Reply
from genvx.errors import AuthenticationFailed, HostUnreachable, InvalidQuantity
from genvx.fleet.hosts import hostfile
from genvx.keeping import asking, kept, places
from genvx.keeping.files import Files, Unkeepable


def a_host(monkeypatch, answers):
    (spec,) = hostfile.parse("a")
    host = kept.Kept(spec, None, None, 600.0)

    def ask(*_):
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(host, "_ask", ask)
    return lambda age=0.0: host.answer("snapshot", {}, 15.0, age)


def test_what_was_just_seen_chooses_a_host_once(monkeypatch):
    first, second, third = (Reply(value=number) for number in range(3))
    answer = a_host(monkeypatch, iter([first, second, third]))
    assert answer() == (first, False)
    assert answer(age=60.0) == (first, True)
    # Whoever has got it takes devices now, and what is asked for that is not seen by others.
    assert answer(age=60.0) == (second, False)
    assert answer(age=60.0) == (third, False)


def test_what_was_seen_long_ago_is_not_used(monkeypatch):
    answer = a_host(monkeypatch, iter([Reply(value=1), Reply(value=2)]))
    answer()
    assert answer(age=1e-9) == (Reply(value=2), False)


def test_an_answer_is_as_old_as_its_question(monkeypatch):
    (spec,) = hostfile.parse("a")
    host = kept.Kept(spec, None, None, 600.0)

    def ask(*_):
        # Somebody else asks while the host takes its time.
        host.used = time.monotonic() + 60.0
        return Reply(value=1)

    monkeypatch.setattr(host, "_ask", ask)
    host.answer("snapshot", {}, 15.0, 0.0)
    assert host.answer("snapshot", {}, 15.0, 1e-9) == (Reply(value=1), False)


def test_what_was_seen_before_a_sleep_of_this_machine_is_not_used(monkeypatch):
    slept = 5.0
    monkeypatch.setattr(kept, "slept", lambda: slept)
    answer = a_host(monkeypatch, iter([Reply(value=1), Reply(value=2)]))
    answer()
    slept = 65.0
    assert answer(age=60.0) == (Reply(value=2), False)


def test_an_agent_that_used_up_its_time_is_late_and_not_gone():
    class Channel:
        """As a channel whose wait is over a moment before the deadline is."""

        def settimeout(self, seconds):
            self._seconds = seconds

        def sendall(self, data):
            pass

        def recv(self, size):
            threading.Event().wait(self._seconds * 0.6)
            raise TimeoutError

        def close(self):
            pass

    channel = Channel()
    pulse = SimpleNamespace(stop=lambda: None, ask=lambda seconds: None)
    agent = kept.Agent(SimpleNamespace(channel=channel, pulse=pulse))
    # A connection that is there is not made anew, which would take as long again.
    with pytest.raises(TimeoutError):
        agent.ask("snapshot", {}, 0.1)


def test_a_login_that_fails_is_not_tried_again_for_each_command(monkeypatch):
    answer = a_host(
        monkeypatch, iter([HostUnreachable("", kind="timeout"), AuthenticationFailed("")])
    )
    with pytest.raises(HostUnreachable):
        answer()
    with pytest.raises(AuthenticationFailed):
        answer()
    with pytest.raises(Exception, match="left to the command"):
        answer()


def test_no_connection_is_used_that_is_older_than_a_sleep_of_this_machine(monkeypatch):
    slept = 5.0
    monkeypatch.setattr(kept, "slept", lambda: slept)
    host = kept.Kept(hostfile.parse("a")[0], None, None, 600.0)
    closed = []

    class Agent:
        def close(self):
            closed.append(self)

        def ask(self, *_):
            return Reply(value=1)

    host._agents.append(Agent())
    monkeypatch.setattr(host, "begin", lambda seconds: Agent())
    host.answer("snapshot", {}, 15.0, 0.0)
    assert not closed
    slept = 65.0
    host.answer("snapshot", {}, 15.0, 0.0)
    assert len(closed) == 1


def test_changes_of_any_file_that_ssh_reads_are_noticed(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    config, more = tmp_path / "config", tmp_path / "more"
    known, key = tmp_path / "known", tmp_path / "key"
    config.write_text(f"Include {tmp_path}/mor*\nHost a\n")
    known.write_text("")

    def changed_by(change):
        files = Files(str(config))
        files.add([str(known), str(key)])
        assert files.unchanged
        change()
        return not files.unchanged

    assert changed_by(lambda: more.write_text("Host b\n"))
    assert changed_by(lambda: more.write_text("Host c\n"))  # of the same size, in the same moment
    assert changed_by(lambda: key.write_text(""))
    assert changed_by(lambda: os.replace(key, known))
    assert changed_by(config.unlink)


def test_the_files_of_the_home_that_ssh_takes_are_watched_whatever_home_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: SimpleNamespace(pw_dir=str(tmp_path)))
    (tmp_path / ".ssh").mkdir()
    config, more = tmp_path / ".ssh/config", tmp_path / "more"
    for path, text in ((config, "Include ~/more\n"), (more, "Host a\n"), (more, "Host b\n")):
        files = Files(None)
        path.write_text(text)
        assert not files.unchanged


@pytest.mark.parametrize(
    "line", ["Match host a exec true", 'match localnetwork "10.0.0.0/8"', "Include ${MORE}"]
)
def test_settings_that_change_while_files_do_not_are_not_kept(tmp_path, line):
    config = tmp_path / "config"
    config.write_text(f"Host a\n  User b\n{line}\n")
    with pytest.raises(Unkeepable):
        Files(str(config))


def test_hosts_that_need_a_secret_or_the_directory_of_a_command_are_not_kept():
    words = ["", "key=/k", "key=~/k", "password_env=GENVX_PASSWORD", "password_command=pass"]
    specs = [hostfile.parse(f"a {word}")[0] for word in words]
    assert [asking.keepable(spec) for spec in specs] == [True, True, True, False, False]


def test_sockets_are_only_in_a_directory_of_ones_own(short_tmp):
    base = short_tmp / "run"
    environ = {"XDG_RUNTIME_DIR": str(base), "HOME": "/proc/nobody"}
    (base / "genvx").mkdir(parents=True, mode=0o700)
    base.chmod(0o700)
    assert places.directory(environ) == f"{base}/genvx"
    for path in (base, base / "genvx"):
        path.chmod(0o750)
        assert places.directory(environ) != f"{base}/genvx"
        path.chmod(0o700)
    (base / "genvx").rename(short_tmp / "elsewhere")
    (base / "genvx").symlink_to(short_tmp / "elsewhere")
    assert places.directory(environ) is None
    assert places.directory({"HOME": str(Path("/proc/nobody"))}, make=True) in (
        None,
        f"/run/user/{os.geteuid()}/genvx",
    )


def test_commands_that_differ_in_what_matters_have_different_keepers():
    usual = {"HOME": "/h", "PATH": "/bin", "TERM": "xterm"}
    same = {**usual, "TERM": "dumb", "PWD": "/"}
    assert places.mark(usual) == places.mark(same)
    for other in ({"HOME": "/i"}, {"SSH_AUTH_SOCK": "/s"}, {"PATH": "/usr/bin"}):
        assert places.stem(places.mark(usual)) != places.stem(places.mark({**usual, **other}))


@pytest.mark.parametrize(
    ("text", "seconds"), [("", 600.0), ("0", None), ("30s", 30.0), ("1h", 3600.0)]
)
def test_genvx_keep_says_how_long(text, seconds):
    assert places.idle_time({"GENVX_KEEP": text}) == seconds


def test_genvx_keep_has_to_be_a_time():
    with pytest.raises(InvalidQuantity, match="GENVX_KEEP"):
        places.idle_time({"GENVX_KEEP": "yes"})


def test_a_login_whose_end_ends_its_processes_has_a_keeper_of_its_own(tmp_path):
    root = f"{tmp_path}/"
    for name in ("proc/self", "etc/systemd/logind.conf.d", "usr/lib/systemd/logind.conf.d"):
        (tmp_path / name).mkdir(parents=True)
    cgroup = tmp_path / "proc/self/cgroup"
    cgroup.write_text("0::/user.slice/user-1000.slice/session-7.scope\n")
    assert places.session(root) == ""
    (tmp_path / "etc/systemd/logind.conf").write_text("[Login]\n#KillUserProcesses=no\n")
    (tmp_path / "usr/lib/systemd/logind.conf.d/9.conf").write_text("KillUserProcesses = yes\n")
    assert places.session(root) == "session-7.scope"
    # A file of the same name in /etc stands for it.
    (tmp_path / "etc/systemd/logind.conf.d/9.conf").write_text("KillUserProcesses=no\n")
    assert places.session(root) == ""
    (tmp_path / "etc/systemd/logind.conf.d/9.conf").write_text("KillUserProcesses=1\n")
    cgroup.write_text("0::/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope\n")
    assert places.session(root) == ""
