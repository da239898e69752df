"""The output of runs: a terminal, and a log that does not grow for ever."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from genvx.core.runs.runstate import name_of
from genvx.local.runs import lock
from genvx.local.runs import terminal as terminals
from genvx.local.runs.terminal import Terminal
from tests.helpers import alive, until
from tests.local.runs.test_runs import asked, ends_as, free, log_of, shell

_SIZE = "import os, sys; print(sys.stdin.isatty(), sys.stdout.isatty(), *os.get_terminal_size())"


def test_a_command_with_a_terminal_has_one_of_80_columns_and_its_output_is_the_log(
    host, start, catalog
):
    line = f"tty; python3 -c '{_SIZE}'; ps -o tty= -p $$ >/dev/null && exec 3</dev/tty; exit 4"
    run = start(shell(line, tty=True))
    assert ends_as(catalog, run, "failed").state.end.exit_code == 4
    assert log_of_bytes(host, run).split(b"\r\n")[1:] == [b"True True 80 24", b""]


def log_of_bytes(host, run):
    return Path(host.environ["GENVX_RUNS_DIR"], run.id, "log").read_bytes()


def test_the_last_output_before_the_end_of_a_terminal_is_in_the_log(host, start, catalog):
    for _ in range(10):
        run = start(shell("seq 30000; printf end", tty=True))
        ends_as(catalog, run, "completed")
        lines = log_of_bytes(host, run).split(b"\r\n")
        assert lines == [b"%d" % number for number in range(1, 30001)] + [b"end"]


def test_what_a_command_with_a_terminal_leaves_behind_may_print_and_is_ended(host, start, catalog):
    left = "trap '' HUP; trap 'echo bye; exit' TERM; echo left; while :; do sleep 0.1; done"
    run = start(shell(f'sh -c "{left}" & sleep 0.5', tty=True))
    ends_as(catalog, run, "completed")
    assert b"left\r\n" in log_of_bytes(host, run)
    assert log_of_bytes(host, run).endswith(b"bye\r\n")


def test_a_run_with_a_terminal_is_stopped_and_its_gpus_are_free(host, start, catalog):
    run = start(shell("trap '' TERM; yes", tty=True, grace=0.2))
    until(lambda: len(log_of_bytes(host, run)) > 100_000)
    catalog.stop(run.id)
    ends_as(catalog, run, "stopped")
    assert free(host) == 2


def test_a_terminal_ends_with_its_supervisor_and_with_it_the_command(host, start, catalog):
    run = start(asked("sleep", "1000", tty=True))
    supervisor = lock.supervision_of(host.state, os.getuid(), run.id)
    os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not alive(run.state.pid))
    assert name_of(ends_as(catalog, run, "lost").state) == "lost"
    assert free(host) == 2


def test_every_attempt_has_a_terminal(host, start, catalog):
    run = start(shell("tty && [ -e tried ] || { touch tried; exit 1; }", tty=True, retries=1))
    ends_as(catalog, run, "completed")
    assert log_of(host, run).count("/dev/pts/") == 2


def test_a_log_with_a_limit_loses_its_head_while_the_command_goes_on(
    host, start, catalog, short_tmp
):
    go = short_tmp / "go"
    line = f"head -c 3000000 /dev/zero | tr '\\0' a; echo; until [ -e {go} ]; do sleep 0.01; done"
    run = start(shell(f"{line}; echo last", log_limit=1 << 20))
    log = Path(host.environ["GENVX_RUNS_DIR"], run.id, "log")
    until(lambda: log.stat().st_size >= 3_000_000 and log.stat().st_blocks * 512 <= 1 << 20)
    go.touch()
    ends_as(catalog, run, "completed")
    assert log.stat().st_size == 3_000_001 + len("last\n")
    assert catalog.tail(catalog.find(run.id), 1) == "last\n"


def test_output_that_finds_no_room_is_counted_and_the_command_goes_on(short_tmp):
    log = os.open("/dev/full", os.O_WRONLY)
    terminal = Terminal(log)
    os.write(terminal.command_end, b"x" * 1000)
    until(terminal.copy)
    with open(short_tmp / "log", "wb") as file:
        os.dup2(file.fileno(), log)
    os.write(terminal.command_end, b"more\n")
    terminal.finish()
    os.close(log)
    assert (short_tmp / "log").read_bytes() == (
        b"\r\ngenvx: 1000 bytes of output are missing: the disk was full\r\nmore\r\n"
    )


def test_a_process_outside_that_prints_on_and_on_does_not_keep_a_terminal_from_its_end(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(terminals, "_LONGEST_REST", 0.5)
    log = os.open(tmp_path / "log", os.O_RDWR | os.O_CREAT)
    terminal = Terminal(log)
    path = os.ttyname(terminal.command_end)
    with subprocess.Popen(["sh", "-c", f"exec yes > {path}"], start_new_session=True) as outside:
        until(lambda: terminal.copy())
        terminal.finish()
        outside.kill()
    os.close(log)
