"""The docs are true: transcripts by running, references from the code, links to what is there."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys

import pytest

from genvx.core.sweeps import nnispace
from genvx.errors import GenvxError
from genvx.fleet.hosts import hostfile
from genvx.fleet.remotes import keys as remotekeys
from genvx.sweeps.nni import machines as nnimachines
from genvx.sweeps.nni import reading as nnireading
from genvx.sweeps.tuners import names as tuners
from tests.conftest import ROOT, run_genvx
from tests.helpers import genvx_env

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def reference():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "scripts/reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.needs("openssh", "bash", "git")
@pytest.mark.parametrize(
    ("play", "some"),
    [
        ("quickstart", "(genvx) gpu-server-2 $"),
        ("runs", "waits in line: place 1"),
        ("inside", "leads to port 6006"),
        ("search", "all trials have ended: 4 of 4 done"),
    ],
)
def test_the_transcripts_are_what_the_demo_prints(reference, play, some):
    shown = {name: reference.normalized(text) for name, text in reference.play(play).items()}
    assert any(some in text for text in shown.values())
    for path in reference.TRANSCRIPTS[play]:
        found = [each for each in reference.transcripts_of(path) if each[0] in shown]
        assert found
        for scene, text in found:
            assert reference.normalized(text) == shown[scene], (
                f"{path}, {scene}: run scripts/reference.py --transcript"
            )


def test_every_scene_on_a_page_is_one_of_a_play(reference):
    played = set(re.findall(r"scene\(\"(\w+)\"\)", (ROOT / "scripts/demo.py").read_text()))
    shown = {
        scene
        for pages in reference.TRANSCRIPTS.values()
        for page in pages
        for scene, _ in reference.transcripts_of(page)
    }
    assert shown == played | {""}


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial.md"])
def test_tables_are_shown_with_their_columns_as_they_are_printed(page):
    blocks = (ROOT / page).read_text().split("\n\n")
    tables = [b.splitlines() for b in blocks if re.search(r"^HOST  +[A-Z]+", b, re.MULTILINE)]
    assert tables
    for lines in tables:
        at = next(n for n, line in enumerate(lines) if line.startswith("HOST  "))
        starts = [match.start() for match in re.finditer(r"(?<=  )\S", lines[at])]
        for row in lines[at + 1 :]:
            # The last cells may be empty: users, or the end of a run.
            found = [m.start() for m in re.finditer(r"(?<=  )\S", row)]
            assert len(found) >= 3, row
            assert found == starts[: len(found)], row


def test_the_reference_is_what_the_code_says(reference):
    for path, make in reference.PAGES.items():
        assert path.read_text() == make(), f"run scripts/reference.py: {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def anchors_of(page):
    """What a link behind # can name: headings as GitHub writes them, and ids."""
    text = page.read_text()
    found = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M):
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_into_pages_lead_to_headings(page):
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#([^)]+)\)", page.read_text()):
        other = page.parent / target if target else page
        if not target.startswith("http") and other.suffix == ".md":
            assert anchor in anchors_of(other), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_row_of_a_table_belongs_to_a_table(page):
    # Behind an empty line, a row without a head is shown as text with bars in it.
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        rows = table.splitlines()
        assert len(rows) > 2, rows[0]
        assert set(rows[1]) <= set("|-: "), rows[0]


def test_every_option_of_a_hostfile_is_documented():
    text = (ROOT / "docs/how-to/hosts-and-ssh.md").read_text()
    for option in (*hostfile.OPTIONS, *hostfile.IGNORED):
        assert f"`{option}=" in text


def test_every_key_of_a_remote_is_documented():
    keys = {*remotekeys.OF_TYPE["ssh"], *remotekeys.ALIASES}
    for page in ("how-to/hosts-and-ssh.md", "coming-from-guild.md"):
        text = (ROOT / "docs" / page).read_text()
        # A pool and a secret are not Guild's.
        ours = {"hosts", "hostfile", *remotekeys.PASSWORDS} if "guild" in page else set()
        assert [key for key in sorted(keys - ours) if f"`{key}" not in text] == []


def test_every_key_of_a_rented_machine_is_documented():
    text = (ROOT / "docs/how-to/clouds.md").read_text()
    keys = {*remotekeys.OF_TYPE["ec2"]} - {*remotekeys.OF_TYPE["ssh"]}
    assert [key for key in sorted(keys) if f"`{key}" not in text] == []


def test_every_key_type_and_tuner_of_nni_is_documented():
    text = (ROOT / "docs/coming-from-nni.md").read_text()
    keys = {*nnireading._KEYS, *nnimachines._MACHINE, *nnimachines._OF_PLATFORM["remote"]}
    names = {*keys - {"platform"}, *nnispace.TYPES, *tuners.TUNERS, *tuners.PRUNERS}
    names |= {each.name for each in tuners._FOREIGN.values()}
    assert [name for name in sorted(names) if f"`{name}" not in text] == []


def test_every_variable_that_the_code_reads_is_documented():
    read = set()
    for path in (ROOT / "genvx").rglob("*.py"):
        read |= set(re.findall(r"\bGENVX_[A-Z_]+\b", path.read_text()))
    private = {v for v in read if v.startswith(("GENVX_SHELL", "GENVX_USER"))}
    page = (ROOT / "docs/reference/environment.md").read_text()
    documented = set(re.findall(r"GENVX_[A-Z_]+", page))
    assert read - private == documented


def test_every_word_for_a_failure_is_documented():
    text = (ROOT / "docs/how-to/hosts-and-ssh.md").read_text()
    code = "".join(path.read_text() for path in (ROOT / "genvx/fleet").glob("*.py"))
    kinds = set(re.findall(r'kind="([a-z-]+)"', code))
    todo = [GenvxError]
    while todo:
        error = todo.pop()
        todo += error.__subclasses__()
        kinds |= {error.kind} if hasattr(error, "kind") else set()
    for kind in kinds - {"host", "driver"}:
        assert f"`{kind}`" in text, kind


def test_help_shows_what_the_readme_tells_people_to_type(state):
    text = (ROOT / "README.md").read_text()
    for line in re.findall(r"^genvx remote (\w+)", text, re.MULTILINE):
        assert run_genvx("remote", line, "--help").returncode == 0


def test_nothing_committed_names_a_path_of_one_machine():
    me = str(ROOT)
    for page in PAGES:
        assert me not in page.read_text()
        assert sys.prefix not in page.read_text()


@pytest.mark.needs("bash")
def test_what_the_tutorial_types_in_your_own_shell_works(state, short_tmp):
    text = (ROOT / "docs/tutorial.md").read_text()
    section = text.split("## The shell that you are in\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    assert len(blocks) == 5
    program = short_tmp / "genvx"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m genvx "$@"\n')
    program.chmod(0o755)
    answer = subprocess.run(
        ["bash", "-e", "-c", "".join(blocks)],
        env=genvx_env(PATH=f"{short_tmp}:{os.environ['PATH']}", TMPDIR=str(short_tmp)),
        capture_output=True,
        text=True,
        cwd=short_tmp,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "nobody else that locks is on these GPUs now\n" in answer.stdout
    assert "Total 0 environments\n" in answer.stdout


@pytest.mark.parametrize(
    ("page", "some"),
    [
        ("genv", {"activate", "attach", "config", "lock", "smi", "shell-init"}),
        ("slurm", {"activate", "run", "queue", "envs", "devices", "acquire", "explain"}),
        (
            "guild",
            {"remotes", "remote", "status", "start", "stop", "check", "run", "watch", "runs"},
        ),
        ("valohai", {"run", "ssh", "tunnel", "ssh-config", "keygen", "release", "runs"}),
    ],
)
def test_what_a_page_for_those_who_come_from_elsewhere_names_is_there(state, page, some):
    """Every verb, and every option behind it, that stands in what people are to type."""
    from genvx.cli.app import root
    from genvx.cli.parse.scan import scan

    text = (ROOT / f"docs/coming-from-{page}.md").read_text()
    quoted = re.findall(r"`([^`]+)`", text)
    typed = [each.split("genvx ")[1] for each in quoted if re.search(r"\bgenvx [a-z]", each)]
    verbs = set()
    for words in typed:
        for _, word, found in scan(root(), words.split()):
            assert found is not None, (words, word)
            verbs.add(word)
    assert some <= verbs


def test_the_options_that_the_page_for_users_of_slurm_names_are_those_of_run():
    from genvx.cli.app import root

    text = (ROOT / "docs/coming-from-slurm.md").read_text()
    section = text.split("## Options\n")[1].split("\n## ")[0]
    ours = " ".join(line.split("|")[2] for line in section.splitlines()[3:])
    options = {each for param in root().commands["run"].params for each in param.opts}
    assert set(re.findall(r"(?<=`)--?[a-z-]+", ours)) <= options


def test_the_pictures_are_of_the_page_as_it_is():
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "scripts/pictures.py")
    pictures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pictures)
    shown = {
        name for page in PAGES for name in re.findall(r"pictures/([\w-]+\.png)", page.read_text())
    }
    # tests/cli/live/test_screen.py has those of the screen.
    assert shown == {path.name for path in pictures.PICTURES.glob("*.png")}
    for name in shown:
        found = (pictures.PICTURES / name).read_bytes()
        assert pictures.source().encode() in found, f"{name}: run scripts/pictures.py"
