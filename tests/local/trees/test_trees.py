"""A project here, sent to a store, and copied for a run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from genvx.core.projects.manifest import Body, Manifest
from genvx.core.projects.project import MOST_DIFF
from genvx.errors import InvalidInput, ProjectChanged, ProtocolError, StateError, TreeMissing
from genvx.local.trees import git
from genvx.local.trees.copying import copy
from genvx.local.trees.project import Gathered, LocalProject
from genvx.local.trees.receiving import receive
from genvx.local.trees.store import TreeStore, trees_root
from tests.capabilities import USER_A
from tests.local.trees.trees import listen, plant, seen


@pytest.fixture
def environ(tmp_path):
    return {"HOME": str(tmp_path / "home")}


@pytest.fixture
def store(environ):
    return TreeStore(trees_root(environ))


def project_of(directory: Path, environ: dict[str, str], **options: bool) -> LocalProject:
    return Gathered(str(directory), **options).read(environ)


def send(project: LocalProject, store: TreeStore, *, cut: int | None = None) -> list[int]:
    """Send a project; return the bodies that were asked for. cut: so many of them arrive."""
    asked: list[int] = []

    def contents(wanted: list[int], bodies: list[Body]) -> Iterator[bytes]:
        asked.extend(wanted)
        for number, (content, _) in enumerate(project.contents(wanted)):
            if number == cut:
                raise ProtocolError("cut")
            yield content

    receive(store, project.recorded.tree, project.manifest.to_bytes(), contents)
    return asked


def copied(store: TreeStore, tree: str, target: Path) -> Path:
    target.mkdir()
    descriptor = os.open(target, os.O_RDONLY)
    try:
        with store.open(tree) as stored:
            for _ in copy(stored, descriptor):
                pass
    finally:
        os.close(descriptor)
    return target


def test_a_copy_is_the_same_by_an_independent_walk(tmp_path, environ, store):
    plant(tmp_path / "code")
    project = project_of(tmp_path / "code", environ)
    send(project, store)
    target = copied(store, project.recorded.tree, tmp_path / "work")
    assert seen(target) == seen(tmp_path / "code")
    assert (target / "holes").stat().st_blocks * 512 < 8 << 20
    assert (target / "large").stat().st_nlink == 1


def test_what_a_run_writes_is_in_no_other_copy(tmp_path, environ, store):
    plant(tmp_path / "code")
    project = project_of(tmp_path / "code", environ)
    send(project, store)
    one = copied(store, project.recorded.tree, tmp_path / "one")
    with open(one / "large", "r+b") as file:
        file.write(b"mine")
    (one / "run.sh").write_text("rm -rf")
    two = copied(store, project.recorded.tree, tmp_path / "two")
    assert seen(two) == seen(tmp_path / "code")


def test_only_what_has_changed_is_asked_for(tmp_path, environ, store):
    plant(tmp_path / "code")
    first = project_of(tmp_path / "code", environ)
    assert len(send(first, store)) == len(first.manifest.bodies())
    assert send(first, store) == []
    with open(tmp_path / "code" / "large", "ab") as file:
        file.write(b"more")
    (tmp_path / "code" / "new").write_bytes(b"new")
    second = project_of(tmp_path / "code", environ)
    assert second.recorded.tree != first.recorded.tree
    bodies = second.manifest.bodies()
    # The last piece of the large one, and the new file.
    assert sum(bodies[number].size for number in send(second, store)) < 2 << 20


def test_a_touched_file_is_the_same_tree(tmp_path, environ):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a").write_bytes(b"a")
    before = project_of(tmp_path / "code", environ).recorded.tree
    os.utime(tmp_path / "code" / "a", (5, 5))
    assert project_of(tmp_path / "code", environ).recorded.tree == before
    (tmp_path / "code" / "a").chmod(0o755)
    assert project_of(tmp_path / "code", environ).recorded.tree != before


def test_a_cut_transfer_goes_on_where_it_was(tmp_path, environ, store):
    (tmp_path / "code").mkdir()
    for number in range(20):
        (tmp_path / "code" / str(number)).write_bytes(os.urandom(50_000))
    project = project_of(tmp_path / "code", environ)
    with pytest.raises(ProtocolError, match="cut"):
        send(project, store, cut=10)
    assert not store.has(project.recorded.tree)
    assert len(send(project, store)) == 10
    assert store.has(project.recorded.tree)
    assert [kept.name for kept in store.kept()] == [project.recorded.tree]


def test_a_damaged_content_of_another_tree_is_not_taken(tmp_path, environ, store):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a").write_bytes(b"right")
    first = project_of(tmp_path / "code", environ)
    send(first, store)
    Path(store.root, first.recorded.tree, "files", "a").write_bytes(b"wrong")
    (tmp_path / "code" / "b").write_bytes(b"b")
    second = project_of(tmp_path / "code", environ)
    assert len(send(second, store)) == 2
    assert (copied(store, second.recorded.tree, tmp_path / "w") / "a").read_bytes() == b"right"
    with pytest.raises(StateError, match="a was changed in the store"):
        copied(store, first.recorded.tree, tmp_path / "x")


def test_a_file_that_changes_while_it_is_sent_is_noticed(tmp_path, environ, store):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a").write_bytes(b"before")
    project = project_of(tmp_path / "code", environ)
    (tmp_path / "code" / "a").write_bytes(b"behind")
    with pytest.raises(ProjectChanged, match="a was changed while"):
        send(project, store)
    assert not store.has(project.recorded.tree)


def test_a_file_that_was_changed_just_before_is_read_again(tmp_path, environ):
    """Two contents of one size within one tick of the clock have the same status."""
    (tmp_path / "code").mkdir()
    file = tmp_path / "code" / "a"
    file.write_bytes(b"one")
    first = project_of(tmp_path / "code", environ)
    before = file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert project_of(tmp_path / "code", environ).recorded.tree != first.recorded.tree


def test_an_unchanged_file_is_not_read_again(tmp_path, environ, monkeypatch):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a").write_bytes(b"a")
    # Four seconds later, as the cache sees it.
    from genvx.local.trees import hashes

    now = hashes.time.time_ns()
    monkeypatch.setattr(hashes.time, "time_ns", lambda: now + 4 * 10**9)
    first = project_of(tmp_path / "code", environ)
    monkeypatch.setattr(hashes, "read_piece", None)  # nothing can be read now
    assert project_of(tmp_path / "code", environ).recorded == first.recorded


def test_a_tree_in_use_is_not_deleted_and_an_unused_one_is(tmp_path, environ, store):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a").write_bytes(b"a")
    tree = project_of(tmp_path / "code", environ).recorded.tree
    send(project_of(tmp_path / "code", environ), store)
    with store.open(tree):
        os.utime(Path(store.root, tree), (1, 1))
        store.clean()
        assert store.has(tree)
    store.clean()
    with pytest.raises(TreeMissing):
        store.open(tree)
    assert os.listdir(store.root) == []


def test_a_transfer_that_has_just_begun_is_not_taken_for_one_that_was_cut(store):
    tree = "a" * 64
    _, descriptor = store.begin(tree, b"[]")
    cut = Path(store.root, f"{tree}.00000000")
    cut.mkdir()  # where it is killed, or has come to, before it has its list of files
    before = sorted(os.listdir(store.root))
    store.forget_parts(tree)
    assert sorted(os.listdir(store.root)) == before
    os.utime(cut, (1, 1))
    store.clean()
    assert sorted(os.listdir(store.root)) == [each for each in before if each != cut.name]
    os.close(descriptor)


def test_a_directory_that_is_named_like_a_file_of_patterns_is_sent(tmp_path, environ):
    (tmp_path / "code" / ".genvxignore").mkdir(parents=True)
    assert [each.entry.name for each in Gathered(str(tmp_path / "code")).found] == [b".genvxignore"]


def test_a_directory_that_git_cannot_enter_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput, match=r"git cannot say which files .*: Not a directory"):
        git.listed(os.fsencode(tmp_path / "file"))


def test_what_cannot_be_sent_is_refused_by_name(tmp_path, environ):
    code = tmp_path / "code"
    code.mkdir()
    os.mkfifo(code / "pipe\x1b[2J")
    (code / "out").symlink_to("/etc/passwd")
    (code / "up").symlink_to("../other")
    (code / "by").symlink_to("self/self/../../x")
    (code / "self").symlink_to(".")
    with listen(code / "sock"), pytest.raises(InvalidInput) as refused:
        Gathered(str(code))
    said = str(refused.value)
    for name in ("the link out", "the link up", "the link by", "sock is a socket", "is a pipe"):
        assert name in said
    assert "\x1b" not in said
    assert "--follow-links" in said


def test_links_that_lead_out_can_be_followed(tmp_path, environ, store):
    code, other = tmp_path / "code", tmp_path / "other"
    code.mkdir()
    (other / "sub").mkdir(parents=True)
    (other / "sub" / "file").write_text("there")
    (other / "around").symlink_to(other)
    (code / "data").symlink_to(other / "sub")
    (code / "one").symlink_to(other / "sub" / "file")
    project = project_of(code, environ, follow_links=True)
    send(project, store)
    work = copied(store, project.recorded.tree, tmp_path / "work")
    assert (work / "data" / "file").read_text() == (work / "one").read_text() == "there"
    (code / "endless").symlink_to(other)
    with pytest.raises(InvalidInput, match="around itself"):
        Gathered(str(code), follow_links=True)


def _git(directory: Path, *words: str) -> str:
    argv = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    done = subprocess.run(argv, cwd=directory, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def _write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


PROJECT = {
    ".gitignore": "*.o\n/data/\n",
    "train.py": "",
    "x.o": "",
    "kept.o": "",
    "data/set": "",
    "data/x.o": "",
    "lib/.gitignore": "!y.o\n",
    "lib/y.o": "",
    "lib/z.o": "",
    "runs/log": "",
    "nested/.git/HEAD": "",
    "nested/inside.py": "",
    "nested/inside.o": "",
}


@pytest.mark.needs("git")
@pytest.mark.parametrize("kind", ["repository", "plain", "no git"])
def test_git_says_what_belongs_and_our_files_say_more(tmp_path, environ, monkeypatch, kind):
    code = tmp_path / "code"
    _write(code, PROJECT)
    (code / "nested" / ".git" / "HEAD").unlink()
    (code / "nested" / ".git").rmdir()
    _git(code / "nested", "init", "-q")
    if kind == "repository":
        _git(code, "init", "-q")
        _git(code, "add", "-f", "kept.o", "train.py")
        _git(code, "commit", "-qm", "x")
    if kind == "no git":
        monkeypatch.setattr("genvx.local.trees.git.is_there", lambda: False)
    tracked = {b"kept.o"} if kind == "repository" else set()

    def files() -> set[bytes]:
        return {f.entry.name for f in Gathered(str(code)).found if f.entry.kind != "d"}

    always = {b".gitignore", b"train.py", b"lib/.gitignore", b"lib/y.o", b"nested/inside.py"}
    # The patterns of a repository are not those of one that is inside.
    always |= {b"nested/inside.o"}
    assert files() == always | tracked | {b"runs/log"}
    _write(code, {".genvxignore": "runs/\n!/data/\n", "lib/.nniignore": "!z.o\n"})
    ours = {b".genvxignore", b"lib/.nniignore", b"lib/z.o", b"data/set"}
    assert files() == always | tracked | ours
    recorded = project_of(code, environ).recorded
    assert (len(recorded.commit), recorded.dirty) == ((40, True) if tracked else (0, False))


@pytest.mark.needs("git")
def test_what_a_repository_names_as_programs_is_not_run(tmp_path, environ, monkeypatch):
    code, ran = tmp_path / "code", tmp_path / "ran"
    evil = f"touch {ran}; cat"
    _write(code, {"train.py": "lr = 1\n", "same.py": "", "sub/deep.py": "one\n"})
    _git(code, "init", "-q")
    _write(code, {".gitattributes": "*.py filter=e.v/il diff=show\n*.txt filter=evil\n"})
    _git(code, "add", ".")
    _git(code, "commit", "-qm", "x")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    _write(tmp_path / "config/git", {"config": f'[filter "evil"]\n\tclean = tee {tmp_path}/own\n'})
    for name in ("filter.e.v/il.clean", "filter.e.v/il.process", "core.fsmonitor", "diff.external"):
        _git(code, "config", name, evil)
    for name in ("diff.show.textconv", "diff.show.command", "core.pager", "core.sshCommand"):
        _git(code, "config", name, evil)
    _git(code, "config", "filter.e.v/il.required", "true")
    _git(code, "config", "core.hooksPath", str(tmp_path))
    _write(tmp_path, {"post-index-change": f"#!/bin/sh\n{evil}\n"})
    (tmp_path / "post-index-change").chmod(0o755)
    _write(code, {"train.py": "lr = 2\n", "new\x1b[1m.py": "", "notes.txt": "n\n"})
    os.utime(code / "same.py", (1, 1))
    index = (code / ".git/index").read_bytes()
    recorded = project_of(code, environ).recorded
    assert not ran.exists()
    assert (code / ".git/index").read_bytes() == index
    diff = recorded.diff.decode()
    assert recorded.dirty
    assert "-lr = 1\n+lr = 2\n" in diff
    assert "same.py" not in diff
    assert "not known to git: new\\x1b[1m.py\n" in diff
    _write(code / "sub", {"deep.py": "".join(f"{n}\n" for n in range(99_999))})
    cut = project_of(code / "sub", environ).recorded.diff
    assert len(cut) <= MOST_DIFF
    assert cut.startswith(b"diff --git a/deep.py b/deep.py\n")
    assert cut.endswith(b"\n[The diff goes on; the first 256 KiB are kept.]\n")
    # What the user's own settings name is theirs to run, and a name that cannot be set is refused.
    quiet = [word for key in ("clean", "process") for word in ("-c", f"filter.e.v/il.{key}=")]
    _git(code, *quiet, "-c", "filter.e.v/il.required=false", "add", "notes.txt")
    ran.unlink(missing_ok=True)
    os.utime(code / "notes.txt", (1, 1))
    (tmp_path / "own").unlink()
    assert project_of(code, environ).recorded.dirty
    assert (tmp_path / "own").exists()
    for name, value in (
        ("core.repositoryformatversion", "1"),
        ("extensions.partialClone", "origin"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", "ssh://x/y"),
    ):
        _git(code, "config", name, value)
    (blob,) = (code / ".git/objects").glob(_git(code, "rev-parse", "HEAD:train.py")[:2] + "/*")
    blob.unlink()
    _write(code / "sub", {"deep.py": "two\n"})
    assert b"[Git could not show the rest.]\nNew, " in project_of(code, environ).recorded.diff
    assert not ran.exists()
    _git(code, "config", "filter.a=b.clean", evil)
    with pytest.raises(InvalidInput, match=r"genvx cannot leave out: filter\.a=b\.clean"):
        project_of(code, environ)


@pytest.mark.needs("git")
def test_a_directory_of_a_repository_goes_by_what_is_above(tmp_path, monkeypatch):
    _write(tmp_path / "repo", {".gitignore": "*.o\n/part/x\n", "part/a.o": "", "part/x": ""})
    _write(tmp_path / "repo", {"part/b": "", "part/empty/c.o": "", "ignored/all": ""})
    (tmp_path / "repo" / ".git" / "info").mkdir(parents=True)
    _git(tmp_path / "repo", "init", "-q")
    _write(tmp_path / "repo", {".git/info/exclude": "/ignored/\n"})

    def names(directory: str) -> set[bytes]:
        return {f.entry.name for f in Gathered(str(tmp_path / "repo" / directory)).found}

    assert names("part") == {b"b", b"empty"}
    assert names("ignored") == {b"all"}  # it was named, so it is wanted
    monkeypatch.setattr("genvx.local.trees.git.is_there", lambda: False)
    assert names("part") == {b"b", b"empty"}


def test_a_manifest_survives_its_journey(tmp_path, environ):
    plant(tmp_path / "code")
    manifest = project_of(tmp_path / "code", environ).manifest
    assert Manifest.read(manifest.to_bytes()).entries == manifest.entries


def test_a_new_tree_shares_its_unchanged_files_with_the_old_one(tmp_path, environ, store):
    plant(tmp_path / "code")
    old = project_of(tmp_path / "code", environ)
    send(old, store)
    (tmp_path / "code" / "run.sh").write_text("other")
    os.utime(tmp_path / "code" / "large", ns=(1, 1))
    (tmp_path / "code" / "holes").chmod(0o640)
    new = project_of(tmp_path / "code", environ)
    assert len(send(new, store)) == 1
    files = [Path(store.root, each.recorded.tree, "files") for each in (old, new)]
    same = {p.name for p in files[0].iterdir() if p.is_file() and p.samefile(files[1] / p.name)}
    assert "holes" in same
    assert not {"run.sh", "large"} & same
    assert seen(copied(store, new.recorded.tree, tmp_path / "copy")) == seen(tmp_path / "code")


def test_what_was_changed_in_the_store_is_not_shared(tmp_path, environ, store):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a").write_text("right")
    (tmp_path / "code" / "b").write_text("b")
    old = project_of(tmp_path / "code", environ)
    send(old, store)
    Path(store.root, old.recorded.tree, "files", "a").write_text("wrong")
    (tmp_path / "code" / "b").write_text("c")
    new = project_of(tmp_path / "code", environ)
    assert len(send(new, store)) == 2
    assert (copied(store, new.recorded.tree, tmp_path / "copy") / "a").read_text() == "right"


def test_times_that_the_file_system_keeps_in_seconds_are_no_change(tmp_path, environ, store):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a").write_text("a")
    os.utime(tmp_path / "code" / "a", ns=(1, 5_123_456_789))
    project = project_of(tmp_path / "code", environ)
    send(project, store)
    stored = Path(store.root, project.recorded.tree, "files", "a")
    os.utime(stored, ns=(1, 5_000_000_000))  # as Lustre has it
    copied(store, project.recorded.tree, tmp_path / "copy")
    os.utime(stored, ns=(1, 5_123_456_788))
    with pytest.raises(StateError, match="was changed in the store"):
        copied(store, project.recorded.tree, tmp_path / "copy2")


@pytest.mark.needs("uids")
def test_a_tree_that_another_user_has_put_there_does_not_count(tmp_path, environ, store):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "a").write_text("a")
    project = project_of(tmp_path / "code", environ)
    send(project, store)
    assert store.has(project.recorded.tree)
    for path in (store.root, Path(store.root, project.recorded.tree)):
        os.chown(path, USER_A, USER_A)
    assert not store.has(project.recorded.tree)
    with pytest.raises(StateError, match="permission denied"):
        send(project, store)
