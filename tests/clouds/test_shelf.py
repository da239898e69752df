"""A shelf in a bucket: its life from the command line, and what others do to it."""

from __future__ import annotations

import json
import os
import stat
import threading

import pytest

from genvx.cli import main
from genvx.core.projects.manifest import digest_of
from genvx.core.value import replace
from genvx.core.wire.treeoperations import PullRun
from genvx.errors import CloudError, GenvxError, InvalidInput, InvalidRemotes, ProtocolError
from genvx.fleet.remotes.reading import load
from genvx.fleet.shelves import kept as keys
from genvx.fleet.shelves import sweeping
from genvx.fleet.shelves.opening import s3_store, store_of
from genvx.local.runs.taking import landing_of
from tests.cli.look.test_json import VALIDATOR
from tests.clouds.shelves import Careless, Made, files_in, store_at


@pytest.fixture
def typed(capfd):
    """Has a command line done in this process, which has botocore already; what was printed."""

    def typed(*words, code=0):
        capfd.readouterr()
        found = main.run(list(words))
        shown = capfd.readouterr()
        assert found == code, shown.err
        return shown

    return typed


@pytest.fixture
def remotes(tmp_path, monkeypatch):
    """Writes remotes.yml."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    path = tmp_path / "config/genvx/remotes.yml"
    path.parent.mkdir(parents=True)

    def write(text, mode=0o600):
        path.write_text(f"remotes:\n{text}")
        path.chmod(mode)
        return path

    return write


def of_shelf(url, name="shelf", **more):
    written = {"type": "s3", "bucket": "my-runs", "root": "lab", "region": "us-east-2", **more}
    lines = [f"    {key.replace('_', '-')}: {value}\n" for key, value in written.items()]
    return f"  {name}:\n    endpoint-url: {url}\n{''.join(lines)}"


def test_the_whole_life_of_a_shelf_also_with_local_state_deleted(
    cloud, remotes, typed, tmp_path, state, monkeypatch
):
    remotes(of_shelf(cloud.url))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GENVX_RUNS_DIR", str(tmp_path / "runs"))
    code = tmp_path / "code"
    code.mkdir()
    (code / "as it was").write_text("1")
    assert (
        "no bucket my-runs; genvx remotes start shelf"
        in typed("remotes", "status", "shelf", code=2).err
    )
    assert "made the bucket" in typed("remotes", "start", "shelf").out
    assert "was there" in typed("remotes", "start", "shelf").out
    script = "echo hello; echo made >made; ln -s made link"
    for name in ("one", "two"):
        typed("run", "-d", "-w", "--name", name, "--project", str(code), "--", "sh", "-c", script)
    pushed = json.loads(typed("--remote", "shelf", "push", "1", "2", "--json").out)
    VALIDATOR.validate(pushed)
    assert [each["ok"] for each in pushed["copies"]] == [True, True]
    cloud_log = len(cloud.log())
    assert typed("--remote", "shelf", "push", "one", "two").out.count("already") == 2
    assert not [each for each in cloud.log()[cloud_log:] if each.startswith("PUT")]

    # Another machine: nothing of this one is left.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache2"))
    monkeypatch.setenv("GENVX_RUNS_DIR", str(tmp_path / "runs2"))
    listed = json.loads(typed("--remote", "shelf", "runs", "--json").out)
    VALIDATOR.validate(listed)
    assert [each["name"] for each in listed["hosts"][0]["runs"]] == ["two", "one"]
    assert "hello" in typed("--remote", "shelf", "runs", "info", "one").out
    typed("--remote", "shelf", "runs", "label", "one", "best")
    typed("--remote", "shelf", "runs", "tag", "best", "baseline")
    assert "baseline" in typed("--remote", "shelf", "runs", "compare", "best", "two").out
    typed("--remote", "shelf", "runs", "delete", "best")
    assert "best" not in typed("--remote", "shelf", "runs").out
    assert "best" in typed("--remote", "shelf", "runs", "--deleted").out
    typed("--remote", "shelf", "runs", "restore", "best")
    typed("--remote", "shelf", "runs", "delete", "two")
    typed("--remote", "shelf", "runs", "purge", "two")
    assert "1 run\n" in typed("--remote", "shelf", "status").out
    typed("--remote", "shelf", "pull", "best")
    (run,) = (tmp_path / "runs2").iterdir()
    assert (run / "work/made").read_text() == "made\n"
    assert os.readlink(run / "work/link") == "made"
    assert not (run / "work/as it was").exists()
    typed("--remote", "shelf", "pull", "best", "--all", "-o", str(tmp_path / "there"))
    assert (tmp_path / "there/as it was").read_text() == "1"
    (tmp_path / "there/extra").touch()
    typed("--remote", "shelf", "pull", "best", "-o", str(tmp_path / "there"), "--delete", "-y")
    assert not (tmp_path / "there/extra").exists()
    assert "best" in typed("runs").out
    assert typed("pull", "best").out.startswith("Pulled 0 files")

    for words in (("run", "true"), ("devices",), ("runs", "stop", "best"), ("watch", "best")):
        assert "nothing runs there" in typed("--remote", "shelf", *words, code=2).err
    assert "-y does it without a question" in typed("remotes", "stop", "shelf", code=2).err
    cloud.client("s3").put_object(Bucket="my-runs", Key="other", Body=b"")
    assert "such as other; --force" in typed("remotes", "stop", "shelf", "-y", code=2).err
    assert "with 1 run" in typed("remotes", "stop", "shelf", "-y", "--force").out
    assert cloud.client("s3").list_buckets()["Buckets"] == []


def test_all_remotes_are_shown_beside_a_dead_one(cloud, remotes, typed, in_bucket, monkeypatch):
    in_bucket.put(Made(name="kept"))
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    remotes(
        of_shelf(cloud.url, root="lab/runs")
        + of_shelf("http://127.0.0.1:9", "dead")
        + of_shelf(cloud.url, "typo", profile="nobody")
    )
    shown = typed("runs", "--all-remotes", code=4)
    assert "kept" in shown.out
    assert "dead: cloud: AWS does not answer" in shown.err
    assert "typo: input: " in shown.err


def test_a_list_reads_what_has_changed_and_no_files(cloud, in_bucket):
    for number in range(9):
        in_bucket.put(Made(f"{number:08x}", files={b"a": b"%d" % number}))
    assert len(in_bucket.list()) == 9
    before = len(cloud.log())
    assert len(in_bucket.list()) == 9
    in_bucket.label("00000007", "best")
    said = cloud.log()[before:]
    in_bucket.list()
    assert [each for each in said if "/blobs/" in each] == []
    assert sum("00000008" in each for each in said) == 0
    assert sum("00000007" in each for each in cloud.log()[before:]) <= 4


def test_more_runs_are_listed_than_a_page_has(tmp_path):
    server = Careless()
    try:
        store = store_at(server.url, tmp_path, path_style=True)
        store.put(Made())
        data = server.objects[f"lab/runs/{keys.key_of_run('0123abcd')}"]
        head = keys.read_head(data, "0123abcd")
        for number in range(1001):
            spec = replace(head.run.spec, id=f"{number:08x}")
            new = keys.write_head(replace(head, run=replace(head.run, spec=spec)))
            server.objects[f"lab/runs/{keys.key_of_run(spec.id)}"] = new
        assert store.count() == len(store.list()) == 1002
    finally:
        server.shutdown()
        server.server_close()


def test_two_writers_notice_each_other(in_bucket, cloud, tmp_path):
    mine, other = in_bucket, store_at(cloud.url, tmp_path / "other")
    mine.put(Made())
    kept, etag = mine._kept("0123abcd")
    other.label("0123abcd", "theirs")
    assert not mine._write("0123abcd", kept, etag)
    assert not mine._write("0123abcd", kept, "")
    assert mine.label("0123abcd", None, ("x",)).label == "theirs"
    results = []

    def label(store, number):
        try:
            results.append(store.label("0123abcd", None, (f"t{number}",)))
        except CloudError as error:
            results.append(error)

    threads = [threading.Thread(target=label, args=(mine, number)) for number in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    (run,) = other.list()
    done = [each for each in results if not isinstance(each, CloudError)]
    assert len(set(run.tags)) == len(run.tags) == len(done) + 1


def test_a_store_that_ignores_conditions_is_found_out_once_and_said(tmp_path):
    server = Careless()
    try:
        said = []
        for _ in range(2):
            store = store_at(server.url, tmp_path, tell=said.append, path_style=True)
            store.put(Made())
            store.label("0123abcd", "x")
        assert len(said) == 2
        assert "ignores conditional writes" in said[0]
        probes = [key for key in server.objects if "probe" in key]
        assert probes == []
        assert json.loads(server.objects["lab/runs/shelf.json"])["conditions"] is False
    finally:
        server.shutdown()
        server.server_close()


def test_a_purge_spares_what_a_push_needs_that_began_before_or_goes_on_beside_it(
    in_bucket, tmp_path
):
    store, bucket = in_bucket, in_bucket.bucket
    shared = {b"model": b"m" * 100}
    store.put(Made("0000aaaa", files=shared))
    store.delete("0000aaaa")
    before = sweeping.Intent(bucket, {digest_of(b"m" * 100).hex()})
    before.write()
    store.purge("0000aaaa")
    assert bucket.has(keys.key_of_blob(digest_of(b"m" * 100).hex())) == 100
    before.remove()
    # A purge that has said what it will delete, and then hangs.
    key = keys.key_of_blob(digest_of(b"m" * 100).hex())
    bucket.put(f"{keys.SWEEPS}hangs", json.dumps([key]).encode())
    made = Made("0000bbbb", files=shared)
    store.put(made)
    assert digest_of(b"m" * 100) in made.sent
    bucket.delete(key)
    assert store._named() <= {each.key for each in bucket.keys(keys.BLOBS)}
    with landing_of(str(tmp_path / "there"), os.environ) as landing:
        store.get(PullRun("0000bbbb", everything=True), landing)


def put_list(store, entries, name="0123abcd"):
    """Have a run name another list of files, as somebody could who may write to the bucket."""
    data = b"[" + b",".join(entries) + b"]"
    digest = digest_of(data).hex()
    store.bucket.put(keys.key_of_blob(digest), data)
    got = store.bucket.get(keys.key_of_run(name), 1 << 20)
    head = replace(keys.read_head(got.data, name), files=digest, made="")
    store.bucket.put(keys.key_of_run(name), keys.write_head(head))


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "work/../../evil", "spec.json", "work/.git/x"]
)
def test_a_hostile_list_of_files_is_refused(in_bucket, tmp_path, name):
    in_bucket.put(Made())
    digest = digest_of(b"hello\n").hex()
    rows = [b'["work","d",493,0,0,""]', json.dumps([name, "f", 420, 0, 6, digest]).encode()]
    put_list(in_bucket, [row.replace(b", ", b",") for row in sorted(rows)])
    with landing_of(str(tmp_path / "there"), os.environ) as landing:
        if name == "spec.json":  # it is left where it is
            in_bucket.get(PullRun("0123abcd", everything=True), landing)
        else:
            with pytest.raises(ProtocolError, match="refused"):
                in_bucket.get(PullRun("0123abcd", everything=True), landing)
    assert files_in(tmp_path / "there") == {}


def test_links_that_lead_out_are_refused_and_contents_are_compared_with_their_hashes(
    in_bucket, tmp_path
):
    in_bucket.put(Made(files={b"a": b"1"}))
    put_list(in_bucket, [b'["work","d",493,0,0,""]', b'["work/out","l",511,0,0,"/etc"]'])
    with landing_of(str(tmp_path / "one"), os.environ) as landing, pytest.raises(ProtocolError):
        in_bucket.get(PullRun("0123abcd", everything=True), landing)
    in_bucket.put(Made("0000aaaa", files={b"a": b"1"}))
    in_bucket.bucket.put(keys.key_of_blob(digest_of(b"1").hex()), b"2")
    with (
        landing_of(str(tmp_path / "two"), os.environ) as landing,
        pytest.raises(ProtocolError, match="another content"),
    ):
        in_bucket.get(PullRun("0000aaaa", everything=True), landing)
    head = in_bucket.bucket.get(keys.key_of_run("0000aaaa"), 1 << 20).data
    in_bucket.bucket.put(keys.key_of_run("0000cccc"), head)
    with pytest.raises(CloudError, match="of another run"):
        in_bucket.list()
    in_bucket.bucket.put(keys.key_of_run("0000cccc"), head.replace(b'"format":1', b'"format":2'))
    with pytest.raises(CloudError, match="later version"):
        in_bucket.list()


# Remotes


def test_the_keys_of_guild_work_and_typos_say_where(remotes):
    path = remotes(
        "  backup:\n    type: s3\n    description: Runs\n    bucket: my-runs\n    root: lab\n"
        "    region: us-east-2\n    local-env:\n      AWS_ACCESS_KEY_ID: a\n"
        "      AWS_SECRET_ACCESS_KEY: b\n"
    )
    remote = load().named("backup")
    assert remote.where == "s3://my-runs/lab"
    assert s3_store(remote, os.environ).bucket.region == "us-east-2"
    path.chmod(0o644)
    with pytest.raises(InvalidRemotes, match="chmod 600"):
        store_of(load().named("backup"), os.environ)
    for line, said in (
        ("buckt: x", r":3:5: unknown key 'buckt'; did you mean bucket\?"),
        ("bucket: UP", ":3:13: bucket is the name of a bucket"),
        ("bucket: s3://x", "what comes behind it is root"),
        ("checksum: md5", "when_required or when_supported"),
        ("sse: rot13", "AES256, aws:kms"),
        ("root: a/../b", "without . and .."),
        ("path-style: maybe", "yes or no"),
        ("host: a", "key of ssh and slurm remotes, not of s3"),
    ):
        remotes(f"  a:\n    {line}\n    type: s3\n")
        with pytest.raises(InvalidRemotes, match=said):
            load()
    remotes("  a:\n    type: s3\n")
    with pytest.raises(InvalidRemotes, match="needs bucket"):
        store_of(load().named("a"), os.environ)


@pytest.mark.parametrize("name", ["env", "env.gpg"])
def test_local_env_is_a_mapping_a_file_or_one_for_gpg(remotes, tmp_path, cloud, monkeypatch, name):
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(key)
    path = remotes(of_shelf(cloud.url, local_env=name))
    with pytest.raises(InvalidInput, match="local-env: "):
        store_of(load().named("shelf"), {"GPG_CMD": "false", **os.environ})
    (path.parent / name).write_text(
        "# mine\nexport AWS_ACCESS_KEY_ID=one\nAWS_SECRET_ACCESS_KEY='two'\n"
    )
    store = s3_store(load().named("shelf"), {**os.environ, "GPG_CMD": "cat"})
    store.bucket.create()
    assert store.bucket.is_there()
    (path.parent / name).write_text("AWS_ACCESS_KEY_ID=one\nnothing\n")
    with pytest.raises(InvalidInput, match=f"{name}:2: a line is NAME=VALUE"):
        store_of(load().named("shelf"), {**os.environ, "GPG_CMD": "cat"})


def test_a_project_s_file_names_no_credentials_and_no_server(tmp_path, monkeypatch, remotes):
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    for line in ("local-env: {A: b}", "endpoint-url: http://evil", "profile: other"):
        path = tmp_path / "project/genvx-remotes.yml"
        path.write_text(f"remotes:\n  a:\n    type: s3\n    bucket: abc\n    {line}\n")
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        with pytest.raises(GenvxError, match="a project's file may name none"):
            store_of(load().named("a"), os.environ)


def test_a_store_that_others_have_registered_is_used(remotes, monkeypatch, typed):
    class Point:
        name = "attic"

        @staticmethod
        def load():
            class Attic:
                name = "up"
                close = staticmethod(lambda: None)

                @staticmethod
                def list(*, deleted=False):
                    return []

            return lambda remote: Attic()

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [Point])
    monkeypatch.setattr("genvx.fleet.shelves.opening.entry_points", lambda group: [Point])
    remotes("  up:\n    type: attic\n    ladder: long\n")
    assert "Total 0 runs" in typed("--remote", "up", "runs").out
    assert "0 runs" in typed("remotes", "status", "up").out
