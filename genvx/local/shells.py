"""The activated shell: the user's own shell, with its own start-up files and a prompt that says
where one is.

Each shell reads the user's files first and ours last. Ours are the same for everybody and every
environment: what differs comes in variables, which are only ever assigned, never evaluated. They
put the prompt's prefix there, set the variables of the grant once more (a start-up file may have
changed them), and make `genvx deactivate` end the shell. Where genvx is installed, bash, zsh and
fish see at their prompt what was attached or detached meanwhile.
"""

from __future__ import annotations

import os
import pwd
from typing import TYPE_CHECKING

from genvx.core.value import value
from genvx.local.state.directory import StateDirectory, state_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable

_RESTORE_SH = """\
if ! (CUDA_VISIBLE_DEVICES=) 2>/dev/null; then
    echo "genvx: your start-up files make CUDA_VISIBLE_DEVICES readonly" >&2
    exit 1
fi
export CUDA_VISIBLE_DEVICES="$GENVX_SHELL_DEVICES" CUDA_DEVICE_ORDER=PCI_BUS_ID
__genvx_mark=$GENVX_SHELL_PROMPT __genvx_lease=$GENVX_SHELL_LEASE
if [ -n "${GENVX_SHELL_PATH-}" ]; then export PATH="$PATH:$GENVX_SHELL_PATH"; fi
unset GENVX_SHELL_DEVICES GENVX_SHELL_PROMPT GENVX_SHELL_LOGIN GENVX_SHELL_FILES GENVX_SHELL_LEASE
unset GENVX_SHELL_PATH
genvx() {
    if [ "$#" -eq 1 ] && [ "$1" = deactivate ]; then exit 0; fi
    command genvx "$@"
}
"""

_REFRESH = """__genvx_refresh() {
    [[ -n $__genvx_lease && ${__genvx_lease%/*} -nt $__genvx_lease ]] || return 0
    [[ -n $(@FIND@ genvx) ]] || return 0
    local reply
    if ! reply=$(command genvx shell-refresh "$__genvx_lease"); then
        __genvx_lease=
        return
    fi
    {
        IFS= read -r reply
        IFS= read -r reply
        IFS= read -r CUDA_VISIBLE_DEVICES
        IFS= read -r CUDA_DEVICE_ORDER
        IFS= read -r GENVX_ENVIRONMENT_ID
        IFS= read -r GENVX_ENVIRONMENT_NAME
        IFS= read -r GENVX_DEVICES
    } <<<"$reply"
}
"""

_BASH = (
    """\
if [ -n "$GENVX_SHELL_LOGIN" ]; then
    [ -r /etc/profile ] && . /etc/profile
    for __genvx_file in ~/.bash_profile ~/.bash_login ~/.profile; do
        if [ -r "$__genvx_file" ]; then . "$__genvx_file"; break; fi
    done
    unset __genvx_file
elif [ -r ~/.bashrc ]; then
    . ~/.bashrc
fi
"""
    + _RESTORE_SH
    + _REFRESH.replace("@FIND@", "type -P")
    + """\
__genvx_prompt() {
    __genvx_refresh
    case $PS1 in "$__genvx_mark"*) return 0 ;; esac
    case $(declare -p PS1) in "declare -"*r*" PS1="*) ;; *) PS1=$__genvx_mark$PS1 ;; esac
}
__genvx_how=$(declare -p PROMPT_COMMAND 2>/dev/null)
case ${__genvx_how%% PROMPT*} in
"declare -"*r*) __genvx_prompt ;;
"declare -"*a*) PROMPT_COMMAND+=(__genvx_prompt) ;;
*) PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND
}__genvx_prompt" ;;
esac
unset __genvx_how
"""
)

_ZSHENV = """\
if (( ${+GENVX_USER_ZDOTDIR} )); then ZDOTDIR=$GENVX_USER_ZDOTDIR; else unset ZDOTDIR; fi
[[ -r ${ZDOTDIR:-$HOME}/.zshenv ]] && . "${ZDOTDIR:-$HOME}/.zshenv"
if (( ${+ZDOTDIR} )); then GENVX_USER_ZDOTDIR=$ZDOTDIR; else unset GENVX_USER_ZDOTDIR; fi
ZDOTDIR=$GENVX_SHELL_FILES/zsh
"""

_ZPROFILE = """\
[[ -r ${GENVX_USER_ZDOTDIR:-$HOME}/.zprofile ]] && . "${GENVX_USER_ZDOTDIR:-$HOME}/.zprofile"
"""

_ZSHRC = (
    """\
if (( ${+GENVX_USER_ZDOTDIR} )); then export ZDOTDIR=$GENVX_USER_ZDOTDIR; else unset ZDOTDIR; fi
unset GENVX_USER_ZDOTDIR
[[ -r ${ZDOTDIR:-$HOME}/.zshrc ]] && . "${ZDOTDIR:-$HOME}/.zshrc"
"""
    + _RESTORE_SH
    + _REFRESH.replace("@FIND@", "whence -p")
    + """\
__genvx_prompt() {
    __genvx_refresh
    case $PROMPT in "$__genvx_mark"*) ;; *) PROMPT=$__genvx_mark$PROMPT ;; esac
}
typeset -ga precmd_functions
precmd_functions+=(__genvx_prompt)
"""
)

_SH = (
    """\
if [ -n "${GENVX_USER_ENV-}" ]; then
    ENV=$GENVX_USER_ENV
    unset GENVX_USER_ENV
    [ -r "$ENV" ] && . "$ENV"
else
    unset ENV
fi
"""
    + _RESTORE_SH
    + """\
PS1=$__genvx_mark${PS1:-\\$ }
"""
)

_FISH = """\
set -gx CUDA_VISIBLE_DEVICES $GENVX_SHELL_DEVICES
set -gx CUDA_DEVICE_ORDER PCI_BUS_ID
set -g __genvx_mark $GENVX_SHELL_PROMPT
set -g __genvx_lease $GENVX_SHELL_LEASE
if set -q GENVX_SHELL_PATH
    set -gx PATH $PATH $GENVX_SHELL_PATH
    set -e GENVX_SHELL_PATH
end
set -e GENVX_SHELL_LEASE
set -e GENVX_SHELL_DEVICES
set -e GENVX_SHELL_PROMPT
set -e GENVX_SHELL_FILES
function __genvx_status
    return $argv[1]
end
if functions -q fish_prompt
    functions -c fish_prompt __genvx_user_prompt
else
    function __genvx_user_prompt
        echo '> '
    end
end
function fish_prompt
    set -l last $status
    printf '%s' $__genvx_mark
    __genvx_status $last
    __genvx_user_prompt
end
function __genvx_refresh --on-event fish_prompt
    set -q __genvx_lease; and command -sq genvx; or return 0
    if test -e $__genvx_lease; and not command test (dirname $__genvx_lease) -nt $__genvx_lease
        return 0
    end
    set -l reply (command genvx shell-refresh $__genvx_lease)
    if test $status -ne 0
        set -e __genvx_lease
        return 0
    end
    set -gx CUDA_VISIBLE_DEVICES $reply[3]
    set -gx GENVX_DEVICES $reply[7]
end
function genvx
    if test (count $argv) -eq 1; and test "$argv[1]" = deactivate
        exit 0
    end
    command genvx $argv
end
"""

_TCSHRC = """\
setenv HOME "$GENVX_USER_HOME"
set home = "$GENVX_USER_HOME"
unsetenv GENVX_USER_HOME
if ( -r "$home/.tcshrc" ) then
    source "$home/.tcshrc"
else if ( -r "$home/.cshrc" ) then
    source "$home/.cshrc"
endif
setenv CUDA_VISIBLE_DEVICES "$GENVX_SHELL_DEVICES"
setenv CUDA_DEVICE_ORDER PCI_BUS_ID
if ( $?prompt ) set prompt = "${GENVX_SHELL_PROMPT}${prompt:q}"
if ( $?GENVX_SHELL_PATH ) then
    setenv PATH "${PATH}:${GENVX_SHELL_PATH}"
    unsetenv GENVX_SHELL_PATH
endif
unsetenv GENVX_SHELL_DEVICES
unsetenv GENVX_SHELL_PROMPT
unsetenv GENVX_SHELL_FILES
unsetenv GENVX_SHELL_LEASE
"""

_FILES = {
    "bashrc": _BASH,
    "zsh/.zshenv": _ZSHENV,
    "zsh/.zprofile": _ZPROFILE,
    "zsh/.zshrc": _ZSHRC,
    "shrc": _SH,
    "config.fish": _FISH,
    "tcsh/.tcshrc": _TCSHRC,
}


_FIRST_FILES = {
    "bash": "~/.bashrc",
    "zsh": "~/.zshenv",
    "fish": "~/.config/fish/config.fish",
    "tcsh": "~/.tcshrc",
    "csh": "~/.cshrc",
}


@value
class Shell:
    """How to start an activated shell.

    keeps_lease: False for shells that close the descriptors they inherit; they need a parent that
    holds it.
    """

    program: str
    argv: list[str]
    variables: Mapping[str, str]
    keeps_lease: bool = True


def user_shell(environ: Mapping[str, str]) -> str:
    """The path of the user's shell: $SHELL, else the one of the password database, else /bin/sh."""
    candidates = [environ.get("SHELL", "")]
    try:
        candidates.append(pwd.getpwuid(os.getuid()).pw_shell)
    except KeyError:
        pass
    for path in candidates:
        if os.path.isabs(path) and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return "/bin/sh"


def first_file() -> str:
    """The start-up file that the login shell reads whenever sshd has it run something, as people
    write its name; empty where it reads none.
    """
    try:
        shell = os.path.basename(pwd.getpwuid(os.getuid()).pw_shell)
    except KeyError:
        return ""
    return _FIRST_FILES.get(shell, "")


def prepare(
    state: StateDirectory,
    environ: Mapping[str, str],
    *,
    devices: str,
    prompt: str,
    login: bool,
    lease: str,
    path: str = "",
) -> Shell:
    """Say how to start the user's shell so that it is activated; write the start-up files it needs.

    devices: the value of CUDA_VISIBLE_DEVICES. prompt: the prefix of the prompt; letters, digits
    and punctuation that no shell looks at. login: as the first shell of a session, which it is
    after ssh. lease: the path of the lease's file. path: a directory that the shell is to have at
    the end of its PATH, whatever its start-up files make of that.

    Raises:
        StateError: the start-up files cannot be written.
    """
    files = _write_files(state)
    program = user_shell(environ)
    name = os.path.basename(program)
    variables: dict[str, str] = {
        "GENVX_SHELL_DEVICES": devices,
        "GENVX_SHELL_PROMPT": prompt,
        "GENVX_SHELL_LEASE": lease,
        "GENVX_SHELL_FILES": files,
    }
    if path:
        variables["GENVX_SHELL_PATH"] = path
    flags = ["-l"] if login else []
    if name == "bash":
        if login:
            variables["GENVX_SHELL_LOGIN"] = "1"
        return Shell(program, [name, "--rcfile", f"{files}/bashrc", "-i"], variables)
    if name == "zsh":
        variables["ZDOTDIR"] = f"{files}/zsh"
        if "ZDOTDIR" in environ:
            variables["GENVX_USER_ZDOTDIR"] = environ["ZDOTDIR"]
        return Shell(program, [name, *flags, "-i"], variables)
    if name == "fish":
        return Shell(
            program, [name, *flags, "-i", "-C", "source $GENVX_SHELL_FILES/config.fish"], variables
        )
    if name in ("tcsh", "csh"):
        variables["GENVX_USER_HOME"] = environ.get("HOME", "/")
        variables["HOME"] = f"{files}/tcsh"
        return Shell(program, [name, *flags], variables, keeps_lease=False)
    if name in ("sh", "dash", "ash", "ksh", "mksh"):
        variables["GENVX_USER_ENV"] = environ.get("ENV", "")
        variables["ENV"] = f"{files}/shrc"
        return Shell(program, [name, *flags, "-i"], variables)
    return Shell(program, [name], with_path(environ, path), keeps_lease=False)


def with_path(environ: Mapping[str, str], path: str) -> dict[str, str]:
    """PATH with a directory at its end; nothing where there is none to add."""
    return {"PATH": f"{environ.get('PATH', os.defpath)}:{path}"} if path else {}


def _write_files(state: StateDirectory) -> str:
    """Write our start-up files below the user's own directory unless they are there; return
    where.
    """
    try:
        with state.own() as directory:
            base = os.path.join(state.path_of(directory), "shell")
            for name, content in _FILES.items():
                _write(os.path.join(base, name), content)
            return base
    except OSError as error:
        raise state_error(error, "write the start-up files of the shell") from None


def write_file(state: StateDirectory, name: str, content: Callable[[str], str]) -> str:
    """Write a file for shells below the user's own directory unless it is there; return its path.

    content: given the path, what it says.

    Raises:
        StateError: it cannot be written.
    """
    try:
        with state.own() as directory:
            path = os.path.join(state.path_of(directory), "shell", name)
            _write(path, content(path))
            return path
    except OSError as error:
        raise state_error(error, "write the start-up files of the shell") from None


def _write(path: str, content: str) -> None:
    try:
        with open(path, encoding="utf-8") as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = f"{path}.{os.urandom(6).hex()}"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(content)
        os.replace(temporary, path)
    except OSError:
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        raise
