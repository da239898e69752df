"""Writes what the docs say from the code; with --check, says whether it is current.

docs/reference/commands.md     every command, option and help text
docs/reference/errors.md       the tree of exceptions and the exit codes
docs/reference/metrics.md      what genvx monitor tells Prometheus
README.md, docs/…              the transcripts of scripts/demo, with --transcript
"""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_HEAD = "<!-- Written by scripts/reference.py from the code. Edit the code, then run it. -->\n"


def commands() -> str:
    """From the options themselves, not from help texts, which have lines."""
    from genvx.cli.parse.loading import root

    parts = [_HEAD, "\n# Commands\n\nEach command has `--help` (`-h`).\n"]

    def visit(command: Any, path: str) -> None:
        parts.append(f"\n## {path}\n\n{command.text}\n")
        rows = [_row(param) for param in command.parameters if not param.info.hidden]
        if rows:
            parts.append("\n| | |\n|---|---|\n" + "".join(rows))
        for name, verb in getattr(command, "verbs", {}).items():
            if not verb.hidden:
                visit(verb, f"{path} {name}")

    visit(root(), "genvx")
    return "".join(parts)


def _row(param: Any) -> str:
    from genvx.cli.parse.pages import explained

    metavar = param.info.metavar or ""
    if not param.names:
        names = f"`{metavar or param.name.upper()}`"
    else:
        names = ", ".join(f"`{name}`" for name in sorted(param.opts, key=len))
        names += f" `{metavar}`" if metavar else ""
    return f"| {names} | {explained(param)} |\n"


def errors() -> str:
    import genvx.errors as module

    tree = inspect.getdoc(module) or ""
    start = tree.index("GenvxError")
    end = tree.index("\n\n", start)
    lines = [
        _HEAD,
        "\n# Errors and exit codes\n\n",
        "Each error is one clear line on stderr, never a traceback. In Python it is an exception ",
        "of `genvx.errors`; the number is the exit code of the command line.\n\n",
        f"```\n{tree[start:end]}\n```\n\n",
        "| exit code | means |\n|---|---|\n",
        "| 0 | done |\n",
        "| 1 | a fault of genvx |\n",
        "| 2 | wrong usage or input; nothing has happened |\n",
        "| 3 | hosts answered, and have no room |\n",
        "| 4 | a host failed (the others are still shown), or `doctor` found something |\n",
        "| 5 | not yours |\n",
        "| 6 | the state directory is unsafe, full or read-only |\n",
        "| 124 | waited too long |\n",
        "| 126, 127 | the command to run is no program, or is not there |\n",
        "| 130 | interrupted |\n",
        "| other | `run`, `activate`: the command's or the shell's own; 128 + n for signal n |\n",
    ]
    for name in module.__all__:
        value = getattr(module, name)
        if inspect.isclass(value):
            text = " ".join((inspect.getdoc(value) or "").split())
            lines.append(f"\n**`{name}`** (exit code {value.exit_code}) {text}\n")
    return "".join(lines)


def metrics() -> str:
    from genvx.watching.families import FAMILIES

    parts = [
        _HEAD,
        "\n# Metrics\n\n",
        "What `genvx monitor` tells Prometheus ([how-to](../how-to/watch-the-fleet.md)), in base ",
        "units: bytes, seconds, watts, hertz, degrees Celsius, and ratios from 0 to 1. What is ",
        "unknown has no sample. A host that fails has only `genvx_host_up`, ",
        "`genvx_host_question_seconds` and `genvx_host_errors_total`.\n\n",
        "`device` is what people call a GPU: `3`, or `3:1` for a MIG instance.\n",
    ]
    for title, prefix in (
        ("Hosts", "genvx_host_"),
        ("Devices", "genvx_device_"),
        ("Environments", "genvx_environment_"),
        ("The monitor", "genvx_monitor_"),
    ):
        parts.append(f"\n## {title}\n\n| metric | type | labels | |\n|---|---|---|---|\n")
        for family in FAMILIES:
            if family.name.startswith(prefix):
                labels = ", ".join(f"`{label}`" for label in family.labels)
                only = " Only with `--label-users`." if family.users else ""
                row = (f"`{family.name}`", family.kind, labels, family.help + only)
                parts.append(f"| {' | '.join(row)} |\n")
    return "".join(parts)


PAGES = {
    ROOT / "docs/reference/commands.md": commands,
    ROOT / "docs/reference/errors.md": errors,
    ROOT / "docs/reference/metrics.md": metrics,
}

# Transcripts

_BLOCK = re.compile(
    r"(<!-- transcript: scripts/demo(?: (\w+))? -->\n```console\n)(.*?)(```)", re.DOTALL
)
# The pages with transcripts of each play.
TRANSCRIPTS = {
    "quickstart": [ROOT / "README.md", ROOT / "docs/tutorial.md"],
    "runs": [
        ROOT / "docs/tutorial.md",
        ROOT / "docs/how-to/runs.md",
        ROOT / "docs/how-to/bring-your-code.md",
    ],
    "inside": [ROOT / "docs/how-to/look-inside-a-run.md"],
    "search": [ROOT / "docs/how-to/search.md"],
}


def play(name: str) -> dict[str, str]:
    """What a play prints, by scene, less the names of this machine's user; the quick start has one
    scene, with no name.
    """
    answer = subprocess.run(
        [sys.executable, str(ROOT / "scripts/demo.py"), name],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    first, *pairs = re.split(r"^# scene: (\w+)\n", _as_raz(answer.stdout), flags=re.MULTILINE)
    scenes = dict(zip(pairs[::2], pairs[1::2], strict=True))
    return {scene: text.strip() for scene, text in scenes.items()} or {"": first.strip()}


def _as_raz(text: str) -> str:
    """A transcript in which somebody else is the user, at home; columns of tables stay columns."""
    # A real host needs no ssh_config of a sandbox, and has its homes elsewhere.
    text = re.sub(r"ssh -F \S+ -t (\S+) \S+?/home/", r"ssh -t \1 /home/raz/", text)
    text = text.replace("ssh -F none -o UserKnownHostsFile=known ", "ssh ")
    text = re.sub(r"-p \d+ [\w.-]+@127\.0\.0\.1", "-p 41075 raz@10.0.0.5", text)
    text = re.sub(r"/var/tmp/genvx-demo-\w+/", "/home/sam/", text)
    for port, shown in re.findall(r"^# port (\d+) stands for (\d+)$", text, re.MULTILINE):
        text = re.sub(rf"\b{port}\b", shown, text)
    user = re.search(r"\b[\w.-]+\(\d+\)", text)
    if user is None:
        return text
    wider = len("raz(1003)") - len(user[0])

    def widened(match: re.Match[str]) -> str:
        return match[0] + " " * wider if wider > 0 else match[0][: len(match[0]) + wider]

    text = re.sub(r"(?<=  )USER +(?=[A-Z])", widened, text)
    return text.replace(user[0], "raz(1003)")


def transcripts_of(path: Path) -> list[tuple[str, str]]:
    """The transcripts on a page: the scene, and what the page shows of it."""
    return [(match[2] or "", match[3]) for match in _BLOCK.finditer(path.read_text())]


def normalized(transcript: str) -> str:
    """A transcript without what differs between two runs: ids, ages and the padding that
    follows them.
    """
    text = re.sub(r"\b[0-9a-f]{8}\b", "ID", transcript)
    text = re.sub(r"SHA256:[\w+/]+", "FINGERPRINT", text)
    text = re.sub(r"\d+ seconds? ago", "AGE", text)
    text = re.sub(r"AGE +\d+ s\b", "AGE TOOK", text)
    text = re.sub(r"\bgpu-server-\d +[\d.]+ s\b", "HOST TOOK", text)
    text = re.sub(r"(as my-env, )\d+ s", r"\1AGE", text)
    text = re.sub(r"(held by +|\(simulated\) +- +)\d+", r"\1PID", text)
    return "\n".join(" ".join(line.split()) for line in text.strip().split("\n"))


def _write(scenes: dict[str, str], pages: list[Path]) -> None:
    def shown(match: re.Match[str]) -> str:
        scene = match[2] or ""
        return f"{match[1]}{scenes[scene]}\n{match[4]}" if scene in scenes else match[0]

    for page in pages:
        page.write_text(_BLOCK.sub(shown, page.read_text()))


def main() -> int:
    if "--transcript" in sys.argv:
        for name, pages in TRANSCRIPTS.items():
            _write(play(name), pages)
        return 0
    stale = []
    for path, make in PAGES.items():
        content = make()
        if "--check" not in sys.argv:
            path.write_text(content)
        elif not path.exists() or path.read_text() != content:
            stale.append(str(path.relative_to(ROOT)))
    for name in stale:
        print(f"{name} is not what the code says; run scripts/reference.py")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
