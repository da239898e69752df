"""What a login node answers: a real sshd, with programs that say what they like in place of
Slurm's.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from genvx.errors import CloudError, GenvxError, HostLost, NotRunning, WaitedTooLong
from genvx.fleet.allocating.jobs import Job
from genvx.fleet.allocating.login import run_plainly
from genvx.fleet.allocating.remote import look, nodes
from genvx.fleet.allocating.starting import Allocation
from genvx.fleet.hosts.step import FINDING
from genvx.fleet.remotes.reading import remote_named
from genvx.fleet.remotes.remote import Remote
from tests.cli.look.test_json import VALIDATOR
from tests.conftest import run_genvx
from tests.doors import Door, door
from tests.helpers import until

pytestmark = [pytest.mark.needs("openssh"), pytest.mark.needs("root")]

# A program of Slurm does what a test has written for it, and notes its words.
_PROGRAM = """\
#!/bin/sh
D={directory}
echo "$(basename "$0") $*" >>"$D/asked"
[ -e "$D/$(basename "$0")" ] || exit 0
. "$D/$(basename "$0")"
"""


@dataclass
class Node:
    """A login node, and a remote there."""

    directory: Path
    remote: Remote
    environ: dict[str, str]

    def does(self, program: str, text: str) -> None:
        """What a program of Slurm does from now on. $D: a directory of the test."""
        (self.directory / program).write_text(text)

    def lists(self, *jobs: str) -> None:
        lines = "\n".join(jobs)
        self.does("squeue", f"cat <<'end'\n{lines}\nend\n")

    def asked(self, program: str) -> list[str]:
        """The words with which a program was called, without its options for all."""
        lines = (self.directory / "asked").read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.startswith(f"{program} ")]

    def look(self) -> Job | None:
        return look(self.remote, self.environ)

    def start(self, patience: float = 0.0) -> list[str]:
        """Start it, which must fail; return what people are told, the error last."""
        told: list[str] = []
        allocation = Allocation(self.remote, told.append, self.environ)
        try:
            with pytest.raises(GenvxError) as error:
                allocation.start(patience)
        finally:
            allocation.close()
        self.error = error.value
        return [*told, str(error.value)]


@pytest.fixture(scope="module")
def login(tmp_path_factory) -> Iterator[tuple[Path, Door]]:
    directory = tmp_path_factory.mktemp("login")
    programs = directory / "bin"
    programs.mkdir()
    for name in ("squeue", "sbatch", "scancel"):
        (programs / name).write_text(_PROGRAM.format(directory=directory))
        (programs / name).chmod(0o755)
    (directory / "door").mkdir()
    more = {"PATH": f"{programs}:/usr/bin:/bin", "SQUEUE_PARTITION": "other"}
    with door("openssh", directory / "door", more=more) as made:
        yield directory, made


@pytest.fixture
def node(login, tmp_path) -> Iterator[Node]:
    directory, made = login
    path = tmp_path / "remotes.yml"
    path.write_text(
        "remotes: {lab: {type: slurm, host: door, time: 20m, "
        f"private-key: {made.key}, constraint: 'a100&nvlink', partition: 'a,b'}}}}\n"
    )
    environ = {**made.environ(), "GENVX_REMOTES": str(path)}
    yield Node(directory, remote_named("lab", environ), environ)
    for name in ("squeue", "sbatch", "scancel", "asked", "count"):
        (directory / name).unlink(missing_ok=True)


RUNNING = "12|RUNNING|19:00|n1|genvx-ab|None"
PENDING = "12|PENDING|20:00||genvx-ab|Priority"


def test_a_warning_of_squeue_is_no_job(node):
    node.does("squeue", f"echo 'squeue: warning: old plugin' >&2; echo '{RUNNING}'\n")
    job = node.look()
    assert job is not None
    assert (job.id, job.nodes, job.seconds_left) == (12, ("n1",), 1140)


@pytest.mark.parametrize(
    "text",
    [
        "echo '12|RUNNING|19:00|n1'\n",
        "printf '12|RUN\\033[2JNING|19:00|n1|x|None\\n'\n",
        "echo '12|RUNNING|19:00|n[1-999999999]|x|None'\n",
        "echo '12|RUNNING|19:00|-oProxyCommand=id|x|None'\n",
        "yes '12|RUNNING|19:00|n1|x|None'\n",
        "printf '\\033[2Jslurm_load_jobs error: no controller\\n' >&2; exit 1\n",
        "head -c 300000 /dev/urandom >&2; exit 1\n",
        "exit 127\n",
        # The answer ends before its end.
        "kill -9 $PPID\n",
    ],
)
def test_an_answer_that_is_none_is_an_error_of_one_line_and_starts_nothing(node, text):
    node.does("squeue", text)
    (said,) = node.start()
    assert isinstance(node.error, CloudError)
    assert said.isprintable()
    assert len(said) < 1000
    assert "lab" in said
    assert node.asked("sbatch") == []


def test_a_login_node_that_ends_its_answer_and_says_no_more_is_left_in_time(node):
    node.does("squeue", "exec sleep 60 >&- 2>&-\n")
    allocation = Allocation(node.remote, print, node.environ)
    try:
        (host,) = allocation._login._fleet.hosts
        with pytest.raises(HostLost, match="squeue"):
            run_plainly(host, ("squeue",), 1.0)
    finally:
        allocation.close()


def test_a_program_that_takes_too_long_is_ended_on_the_login_node(node):
    node.does("sbatch", "echo $$ >$D/count; exec sleep 600\n")
    allocation = Allocation(node.remote, print, node.environ)
    try:
        (host,) = allocation._login._fleet.hosts
        said = run_plainly(host, ("sbatch",), 11.0)
    finally:
        allocation.close()
    assert said.code == 124
    pid = (node.directory / "count").read_text().strip()
    until(lambda: not Path(f"/proc/{pid}").exists(), "it has ended")


def test_what_is_asked_for_reaches_sbatch_as_it_was_written(node):
    node.does("sbatch", "echo 'sbatch: error: no' >&2; exit 1\n")
    assert node.start() == ["could not allocate nodes: remote lab: sbatch says: no"]
    (words,) = node.asked("sbatch")
    assert " --partition=a,b --constraint=a100&nvlink --wrap srun " in words


def test_a_connection_that_is_lost_while_sbatch_works_says_what_that_means(node):
    # The process of this connection alone: it is an ancestor of the program.
    node.does(
        "sbatch",
        'p=$$; while [ "$(cat /proc/$p/comm)" != sshd ]; do\n'
        '  p=$(cut -d" " -f4 /proc/$p/stat)\n'
        "done; kill -9 $p; sleep 60\n",
    )
    said = node.start()[-1]
    assert "the login node of lab: " in said
    assert "whether there is a job in Slurm's queue is not known: genvx remotes status lab" in said


def test_a_job_that_sbatch_took_too_late_to_say_so_is_found(node):
    node.does(
        "sbatch",
        f"echo \"echo '{PENDING}'\" >$D/squeue\n"
        "echo 'sbatch: error: Batch job submission failed: Socket timed out' >&2; exit 1\n",
    )
    assert node.start()[0] == "lab: job 12 is PENDING (Priority)"
    assert isinstance(node.error, WaitedTooLong)
    assert len(node.asked("sbatch")) == 1


def test_a_job_is_known_as_ours_also_where_numbers_begin_again(node):
    node.lists("67108863|COMPLETED|0:00|n1|x|None")
    node.does("sbatch", f"echo \"echo '{PENDING}'\" >$D/squeue\n")
    assert node.start()[0] == "lab: job 12 is PENDING (Priority)"


def test_who_waits_outlasts_a_controller_that_does_not_answer_for_a_moment(node):
    never = "12|PENDING|20:00||genvx-ab|PartitionTimeLimit"
    node.does(
        "squeue",
        "echo >>$D/count; case $(wc -l <$D/count) in\n"
        f"1) echo '{PENDING}' ;; 2) echo 'no controller' >&2; exit 1 ;; *) echo '{never}' ;;\n"
        "esac\n",
    )
    told = node.start(patience=60)
    assert "remote lab: squeue says: no controller; it is asked again" in told
    assert "job 12 would never start, so it is cancelled" in told[-1]
    assert node.asked("scancel") == ["12"]


def test_a_job_that_is_not_listed_any_more_is_not_waited_for(node):
    node.does(
        "squeue",
        f"echo >>$D/count; [ $(wc -l <$D/count) -gt 1 ] || echo '{PENDING}'\n",
    )
    said = node.start(patience=60)[-1]
    assert isinstance(node.error, NotRunning)
    assert said == "remote lab has no allocation; ask for one: genvx remotes start lab"


def test_of_two_jobs_the_one_that_waits_is_cancelled_and_never_one_that_runs(node):
    node.does("scancel", "echo 'scancel: error: Kill job error' >&2; exit 1\n")
    node.lists(RUNNING, PENDING.replace("12", "13", 1), RUNNING.replace("12", "14", 1))
    allocation = Allocation(node.remote, print, node.environ)
    try:
        job = allocation.look()
    finally:
        allocation.close()
    assert job is not None
    assert job.id == 12
    assert node.asked("scancel") == ["13"]


def test_a_job_that_ends_while_it_is_given_back_is_no_error(node):
    node.lists(RUNNING)
    node.does(
        "scancel",
        "echo \"echo '12|TIMEOUT|0:00|n1|x|TimeLimit'\" >$D/squeue\n"
        "echo 'scancel: error: Kill job error: Invalid job id specified' >&2; exit 1\n",
    )
    allocation = Allocation(node.remote, print, node.environ)
    try:
        assert allocation.stop(lambda line: None) == (12,)
    finally:
        allocation.close()


def test_a_job_whose_time_is_over_is_no_allocation_and_can_be_given_back(node):
    node.lists("12|RUNNING|INVALID|n1|x|None")
    node.does("sbatch", f"echo \"echo '{PENDING.replace('12', '13', 1)}'\" >$D/squeue\n")
    with pytest.raises(NotRunning, match="job 12 is RUNNING, with its time over; ask"):
        nodes(node.remote, node.environ)
    assert node.start()[0] == "lab: job 13 is PENDING (Priority)"
    node.lists("12|RUNNING|0:00|n1|x|None")
    node.does("scancel", "rm $D/squeue\n")
    allocation = Allocation(node.remote, print, node.environ)
    try:
        assert allocation.stop(lambda line: None) == (12,)
    finally:
        allocation.close()


def test_the_time_that_is_left_is_shown(node):
    node.lists("12|RUNNING|1:10:05|n1|x|None")
    said = run_genvx("remotes", "status", "lab", "--json", env=node.environ)
    # The node itself is not available.
    document = json.loads(said.stdout)
    VALIDATOR.validate(document)
    assert document["job"]["left_seconds"] == 4205


def test_a_login_node_that_is_down_is_said_as_for_other_remotes(node, tmp_path):
    path = tmp_path / "away.yml"
    path.write_text("remotes: {lab: {type: slurm, host: '127.0.0.1:1', time: 1h}}\n")
    said = run_genvx("remotes", "status", "lab", env={"GENVX_REMOTES": str(path)})
    assert said.returncode == 2
    assert said.stderr.startswith("genvx: lab (127.0.0.1:1) is not available: it is down: ")


def test_programs_that_only_a_login_shell_finds_are_found(tmp_path):
    (tmp_path / ".bash_profile").write_text('echo welcome; PATH="$PATH:$HOME"\n')
    # The machine may have Slurm.
    (tmp_path / "genvx-only").write_text("#!/bin/sh\necho found\n")
    (tmp_path / "genvx-only").chmod(0o755)
    said = subprocess.run(
        ["/bin/sh", "-c", f"{FINDING.format('genvx-only')}; genvx-only"],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.stdout == "found\n", said.stderr


def test_variables_that_hide_jobs_from_squeue_do_not_count(node):
    node.does("squeue", f"[ -n \"$SQUEUE_PARTITION\" ] || echo '{RUNNING}'\n")
    assert node.look() is not None


def test_a_shell_that_runs_nothing_is_told_apart_from_an_empty_queue(tmp_path):
    with door("openssh", tmp_path, shell="/usr/sbin/nologin") as made:
        path = tmp_path / "remotes.yml"
        path.write_text(
            f"remotes: {{lab: {{type: slurm, host: door, time: 1h, private-key: {made.key}}}}}\n"
        )
        environ = {**made.environ(), "GENVX_REMOTES": str(path)}
        with pytest.raises(CloudError, match="does not run squeue: This account"):
            look(remote_named("lab", environ), environ)
