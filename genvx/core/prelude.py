"""What runs on a host before a command: the Python of a remote or of a run, and its setup line.

A command becomes `sh -c SCRIPT genvx VALUE COMMAND...`. The scripts never change, and what the user
wrote is a word of its own, so no shell reads it as code, except that of venv-activate, which is
code. A script that fails says so, and the command does not run.
"""

from __future__ import annotations

from typing import Optional

from genvx.core.value import value

# $1 is a path of the host, counted from the home there; $p becomes the whole path.
_PATH = 'p=$1; case $p in "~/"*) p=$HOME/${p#"~/"} ;; /*) ;; *) p=$HOME/$p ;; esac; '

# In bash where there is one: people write `source`.
_LINE = (
    'b=$(command -v bash) || b=sh; exec "$b" -c \'eval "$1" || '
    '{{ echo "genvx: {} failed: $1" >&2; exit 126; }}; shift; exec "$@"\' genvx "$@"'
)
_SCRIPTS = {
    # What the activate of a virtual environment does for programs; that file is for bash and zsh.
    "venv-path": (
        _PATH
        + 'shift; [ -x "$p/bin/python" ] || { echo "genvx: no virtual environment in $p" >&2; '
        "exit 126; }; unset PYTHONHOME; VIRTUAL_ENV=$p; PATH=$p/bin:$PATH; "
        'export VIRTUAL_ENV PATH; exec "$@"'
    ),
    # A shell that is not interactive has no function of conda's: it is defined by conda.sh, which
    # is in one of these places, or where `conda` says.
    "conda-env": (
        "case $1 in */*) " + _PATH + ";; *) p=$1 ;; esac; shift; d=; "
        "if command -v conda >/dev/null 2>&1; then d=$(conda info --base 2>/dev/null); fi; "
        'for b in "$d" "$HOME"/*conda* "$HOME"/*forge* "$HOME"/.*conda* /opt/*conda* '
        '/opt/*forge*; do if [ -r "$b/etc/profile.d/conda.sh" ]; then break; fi; b=; done; '
        '[ -n "$b" ] || { echo "genvx: no conda on this host" >&2; exit 126; }; '
        '. "$b/etc/profile.d/conda.sh"; conda activate "$p" || '
        '{ echo "genvx: conda does not activate $p" >&2; exit 126; }; exec "$@"'
    ),
    # NNI's pythonPath: a directory, or several with colons between them.
    "python-path": (
        _PATH + 'shift; case $p in *:*) ;; *) [ -d "$p" ] || { echo "genvx: no directory $p" >&2; '
        'exit 126; } ;; esac; PATH=$p:$PATH; export PATH; exec "$@"'
    ),
    "venv-activate": _LINE.format("venv-activate"),
}
# Before the command of one run, and after what its remote names.
_SETUP = _LINE.format("--setup")
# The variables that there are then, for those who enter the run later.
_KEEP = (
    '(umask 077; env -0 >"$1.new" && mv -f "$1.new" "$1") 2>/dev/null; shift; '
    'command -v "$1" >/dev/null || { echo "genvx: command not found: $1" >&2; exit 127; }; '
    'exec "$@"'
)
_NAME = "genvx"


@value
class Prelude:
    """What comes before each command.

    key: of a remote: venv-path, conda-env or venv-activate; or python-path, as NNI has it.
    """

    key: str
    text: str


def with_prelude(
    prelude: Optional[Prelude], argv: Optional[tuple[str, ...]]
) -> Optional[tuple[str, ...]]:
    """Return the command that begins with a prelude and then becomes `argv`.

    prelude: None for none. argv: None for a shell that reads its commands, which has none, either.
    One that `argv` has already, such as that of a run that is started again, is replaced.
    """
    if prelude is None or argv is None:
        return argv
    return ("sh", "-c", _SCRIPTS[prelude.key], _NAME, prelude.text, *plain(argv))


def prelude_of(argv: tuple[str, ...]) -> Optional[Prelude]:
    """Return the prelude of a command; None if it has none."""
    if len(argv) < 6 or argv[:2] != ("sh", "-c") or argv[3] != _NAME:
        return None
    return next((Prelude(key, argv[4]) for key, text in _SCRIPTS.items() if text == argv[2]), None)


def plain(argv: tuple[str, ...]) -> tuple[str, ...]:
    """Return a command without its prelude."""
    return argv if prelude_of(argv) is None else argv[5:]


def prepared(
    argv: tuple[str, ...], *, conda: str = "", setup: str = "", keep: str
) -> tuple[str, ...]:
    """Return the command of a run with all that comes before it.

    argv: it may begin with the prelude of its remote. conda: an environment that is activated.
    setup: a line for bash. keep: the path of a file to which the variables are written, at last;
    empty for none.
    """
    found = ("sh", "-c", _KEEP, _NAME, keep, *plain(argv)) if keep else plain(argv)
    if setup:
        found = ("sh", "-c", _SETUP, _NAME, setup, *found)
    prelude = Prelude("conda-env", conda) if conda else prelude_of(argv)
    return with_prelude(prelude, found) or found
