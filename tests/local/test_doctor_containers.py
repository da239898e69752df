"""What genvx doctor says of what starts containers."""

from __future__ import annotations

import pytest

from genvx.core.finding import OK, WARNING
from genvx.local.doctor.containers import ask, of_runtimes
from genvx.local.doctor.examination import examine
from genvx.local.host import LocalHost


@pytest.fixture
def look(tmp_path):
    """Has a machine looked at that has these programs and files."""

    def look(*programs, uid=4711, **files):
        for each in programs:
            (tmp_path / each).write_text("#!/bin/sh\nexit 0\n")
            (tmp_path / each).chmod(0o755)
        for name, text in files.items():
            (tmp_path / name).write_text(text)
        environ = {"PATH": str(tmp_path)}
        return list(of_runtimes(ask(environ, uid), environ, uid, "ann", str(tmp_path)))

    return look


def test_what_starts_containers_is_named_also_if_nothing_does(look):
    (found,) = look()
    assert (found.severity, found.result) == (
        OK,
        "no podman, docker or apptainer, so none for --image",
    )
    (found,) = look("apptainer", "docker")
    assert found.result == "docker and apptainer for --image"


def test_a_runtime_that_does_not_answer_is_a_warning_with_its_words(look, tmp_path):
    (tmp_path / "docker").write_text("#!/bin/sh\necho cannot connect; exit 1\n")
    (tmp_path / "docker").chmod(0o755)
    (found,) = look()
    assert found.severity is WARNING
    assert found.result == "docker is installed, but does not answer: cannot connect"


def test_rootless_podman_without_ids_is_one_line_with_what_root_types(look, tmp_path):
    files = {"subuid": "bob:100000:65536\nx\n", "subgid": "bob:100000:65536\ncat:165536:10\n"}
    (_, found) = look("podman", "newuidmap", **files)
    assert found.severity is WARNING
    assert found.result == (
        f"rootless podman lacks ids for ann in {tmp_path}/subuid and {tmp_path}/subgid: no "
        "container starts"
    )
    # Behind all ranges that others have.
    assert found.advice == (
        "root can type: usermod --add-subuids 165546-231081 --add-subgids 165546-231081 ann; then "
        "ann: podman system migrate"
    )


@pytest.mark.parametrize("owner", ["ann", "4711"])
def test_ids_by_name_or_number_are_enough(look, owner):
    line = f"{owner}:100000:65536\n"
    assert len(look("podman", "newuidmap", subuid=line, subgid=line)) == 1
    (_, found) = look("podman", "newuidmap", subuid=line, subgid="")
    assert "--add-subgids" in found.advice
    assert "--add-subuids" not in found.advice


def test_ids_of_a_directory_of_users_count(look, tmp_path):
    (tmp_path / "getsubids").symlink_to("/bin/true")
    assert len(look("podman", "newuidmap")) == 1


def test_root_needs_no_ids_and_no_newuidmap(look):
    assert len(look("podman", uid=0)) == 1


def test_podman_without_newuidmap_is_told_apart(look):
    line = "ann:100000:65536\n"
    (_, found) = look("podman", subuid=line, subgid=line)
    assert "newuidmap" in found.result


def test_runtimes_answer_while_the_devices_are_looked_at(state, tmp_path):
    """This one answers only then."""
    looked, bin = tmp_path / "looked", tmp_path / "bin"
    bin.mkdir()
    (bin / "podman").write_text(f"#!/bin/sh\nuntil test -e {looked}; do sleep 0.05; done\n")
    (bin / "podman").chmod(0o755)

    def survey():
        looked.touch()
        return host._survey()

    host = LocalHost()
    environ = {**host.environ, "PATH": f"{bin}:/usr/bin:/bin"}
    findings = examine(environ, survey, host.places)
    (found,) = (each for each in findings if "--image" in each.result)
    assert found.result.startswith("podman ")
