"""One reader under a fuzzer that follows coverage (atheris, on libFuzzer), as a program.

    python -m torture.guided KIND PLACE SECONDS SEED

Apart from all else: what is to be followed must be imported by the fuzzer's own importer, first.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["genvx", "paramiko.config", "json"]):
    import paramiko.config  # noqa: F401

    from torture import readers

_SLOW = 2  # seconds, whole ones only, and no less than what a busy machine needs


def main(kind: str, place: str, seconds: str, seed: str) -> None:
    directory = Path(tempfile.mkdtemp(dir=place))
    reader = readers.readers(directory)[kind]
    corpus = directory / "corpus"
    corpus.mkdir()
    for number, data in enumerate(reader.seeds):
        (corpus / str(number)).write_bytes(data)
    limits = [f"-max_total_time={seconds}", f"-timeout={_SLOW}", "-max_len=20000"]
    told = ["-print_final_stats=1", f"-artifact_prefix={directory}/", f"-seed={int(seed) + 1}"]
    atheris.Setup(
        [sys.argv[0], str(corpus), *limits, *told], lambda data: reader.feed(reader.case(data))
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
