"""What tests of shelves share: a bucket on loopback, made-up runs, and a careless store."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from genvx.clouds.aws.account import Account
from genvx.clouds.s3.bucket import Bucket, How
from genvx.core.projects.manifest import DIRECTORY, FILE, Entry, Manifest, digest_of, pieces
from genvx.core.requests.requirements import Requirements
from genvx.core.runs.run import End, Moment, RunSpec, Usage
from genvx.core.runs.runinfo import RunInfo
from genvx.core.runs.runstate import Completed
from genvx.fleet.shelves.s3store import S3Store

MOMENT = Moment(1_790_000_000_000_000_000, 5)


class Made:
    """A run with these files in its directory, and a log; as fleet.shelves.store.Content."""

    def __init__(self, identifier="0123abcd", files=None, log=b"hello\n", made=None, **spec):
        spec = {"argv": ("true",), "host": "gpu-1", "name": "train", **spec}
        self.run = RunInfo(
            RunSpec(
                id=identifier,
                requirements=Requirements(),
                machine="m",
                submitted=MOMENT,
                **spec,
            ),
            Completed(MOMENT, End(MOMENT, MOMENT, 0, None, Usage())),
            log_bytes=len(log),
        )
        every = {b"log": log}
        for name, data in (files or {}).items():
            every[b"work/" + name] = data
        parents = {
            b"/".join(name.split(b"/")[:at])
            for name in every
            for at in range(1, name.count(b"/") + 1)
        }
        entries = [Entry(name, DIRECTORY, 0o755, 0) for name in parents]
        self._contents = {}
        for name, data in every.items():
            parts = [data[at : at + size] for at, size in pieces(len(data))]
            digests = tuple(map(digest_of, parts))
            self._contents.update(zip(digests, parts, strict=True))
            entries.append(Entry(name, FILE, 0o644, 0, len(data), digests))
        self.manifest = Manifest(entries)
        names = frozenset(each.name for each in self.manifest.entries)
        self.made = names if made is None else made
        self.left_out = ()
        self.sent = []

    def bodies(self, wanted):
        for index in wanted:
            digest = self.manifest.bodies()[index].digest
            self.sent.append(digest)
            yield self._contents[digest]


def bucket_at(url, name="my-runs", root="lab/runs", keys=("a", "b", ""), **how):
    account = Account("us-east-2", endpoint_url=url, keys=keys)
    return Bucket(account, name, root, How(**how))


def store_at(url, tmp_path, name="my-runs", tell=lambda line: None, **how):
    bucket = bucket_at(url, name, **how)
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    return S3Store("shelf", bucket, environ, place=f"{url}{name}", tell=tell)


class Careless(ThreadingHTTPServer):
    """A store that ignores conditions, as s3rver does, and answers as if all were well."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _key(self):
        return unquote(urlsplit(self.path).path).partition("/")[2].partition("/")[2]

    def do_PUT(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            data = data.partition(b"\r\n")[2][: int(self.headers["X-Amz-Decoded-Content-Length"])]
        self.server.objects[self._key()] = data
        self._answer(200, ETag=_etag(data))

    def do_DELETE(self):
        self.server.objects.pop(self._key(), None)
        self._answer(204)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        key = self._key()
        if not key:
            return self._list()
        data = self.server.objects.get(key)
        if data is None:
            body = b"<Error><Code>NoSuchKey</Code><Message>no</Message></Error>"
            return self._answer(404, body, Content_Type="application/xml")
        return self._answer(200, data, ETag=_etag(data))

    def _list(self):
        query = parse_qs(urlsplit(self.path).query)
        prefix, after = (query.get(name, [""])[0] for name in ("prefix", "continuation-token"))
        objects = sorted(self.server.objects.items())
        found = [(key, data) for key, data in objects if key.startswith(prefix) and key > after]
        page, cut = found[:1000], len(found) > 1000
        shown = [
            f"<Contents><Key>{escape(key)}</Key><ETag>{escape(_etag(data))}</ETag>"
            f"<Size>{len(data)}</Size></Contents>"
            for key, data in page
        ]
        more = f"<NextContinuationToken>{page[-1][0]}</NextContinuationToken>" if cut else ""
        body = f"<ListBucketResult><IsTruncated>{str(cut).lower()}</IsTruncated>{more}"
        body += f"{''.join(shown)}</ListBucketResult>"
        self._answer(200, body.encode(), Content_Type="application/xml")


def _etag(data):
    return f'"{hashlib.md5(data).hexdigest()}"'


def files_in(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }
