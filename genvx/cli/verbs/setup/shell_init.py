"""genvx shell-init: what makes `genvx activate` change the shell that we are in."""

from __future__ import annotations

from importlib import resources
from typing import Annotated

import typer

from genvx.cli.inplace import ELSEWHERE
from genvx.errors import InvalidInput
from genvx.local.inside import ENDED, VARIABLES

SHELLS = ("bash", "zsh", "fish", "tcsh", "sh")

Shell = Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh, fish, tcsh or sh")]


def shell_init(shell: Shell) -> None:
    """Print what makes activate change your shell.

    Instead of opening another one; deactivate restores it then.

    bash, zsh, sh: eval "$(genvx shell-init bash)"; fish: genvx shell-init fish | source; tcsh: eval
    "`genvx shell-init tcsh`"; once, in its start-up file.

    Example: echo 'eval "$(genvx shell-init bash)"' >> ~/.bashrc
    """
    if shell not in SHELLS:
        raise InvalidInput(f"shell-init is for {', '.join(SHELLS)}, not {shell!r}")
    code = script(shell)
    if shell != "tcsh":
        print(code, end="")
        return
    # tcsh evaluates one line only, and has no functions: an alias reads a file.
    from genvx.local.host import LocalHost

    path = LocalHost().write_shell_file("genvx.tcsh", lambda path: code.replace("@FILE@", path))
    print(f"alias genvx 'set __genvx_argv = ( \\!* ); source \"{path}\"'")


def script(shell: str) -> str:
    """The code for a shell, with the names of the variables where they belong."""
    files = resources.files("genvx.cli").joinpath("shellcode")
    code = files.joinpath(f"genvx.{shell}").read_text("utf-8")
    code = code.replace("@WINDOW@", files.joinpath("window.sh").read_text("utf-8"))
    code = code.replace("@ELSEWHERE@", str(ELSEWHERE)).replace("@NAMES@", " ".join(VARIABLES))
    code = code.replace("@ENDED@", str(ENDED))
    for mark, line in _LINES.get(shell, {}).items():
        numbered = enumerate(VARIABLES)
        lines = [line.format(name=name, at=at + 3).rstrip("\n") for at, name in numbered]
        code = code.replace(mark, "\n".join(lines))
    return code


# What sh and tcsh, which have no names of names, need for each variable.
_LINES = {
    "sh": {
        "@REMEMBER@": "    __genvx_was_{name}=${{{name}+=${name}}}\n"
        '    case $(export -p) in *" {name}="* | *" {name}\n"*) __genvx_exported_{name}=x ;; '
        "*) __genvx_exported_{name}= ;; esac",
        "@KEEP@": '    __genvx_word=$(tr "\\0" "\\n" 2>/dev/null <"/proc/$$/environ" |'
        ' sed -n "s/^{name}=/=/p")\n'
        '    [ -z "$__genvx_word" ] || {{ {name}=${{__genvx_word#=}}; export {name}; }}',
        "@READ@": "        IFS= read -r {name}",
        "@RESTORE@": "    unset {name}\n"
        '    [ -z "$__genvx_was_{name}" ] || {name}=${{__genvx_was_{name}#=}}\n'
        '    [ -z "$__genvx_exported_{name}" ] || export {name}\n'
        "    unset __genvx_was_{name} __genvx_exported_{name}",
    },
    "tcsh": {
        "@REMEMBER@": '        set __genvx_was_{name} = "`printenv {name}`"\n'
        "        set __genvx_set_{name} = $status",
        "@ASSIGN@": '    setenv {name} "$__genvx_reply[{at}]:s/=//:q"',
        "@RESTORE@": "    if ( $__genvx_set_{name} == 0 ) then\n"
        '        setenv {name} "$__genvx_was_{name}:q"\n'
        "    else\n        unsetenv {name}\n    endif\n"
        "    unset __genvx_was_{name} __genvx_set_{name}",
    },
}
