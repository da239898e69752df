# A shell that is opened for an environment, in bash, zsh and every sh: it is activated from its
# start to its end.
for __genvx_word in @NAMES@; do
    # It would see other GPUs than those that it holds.
    if ! (unset "$__genvx_word") 2>/dev/null; then
        echo "genvx: your start-up files make $__genvx_word readonly" >&2
        exit 1
    fi
done
unset __genvx_word

__genvx_activate() {
    command genvx activate "$@"
}

__genvx_deactivate() {
    if [ "$#" -gt 0 ]; then command genvx deactivate "$@"; else exit 0; fi
}

# The shell stays, since it may have work in it, but has nothing more to ask.
__genvx_ended() {
    __genvx_lease=
}

# Once more: a start-up file may have changed the variables.
__genvx_assign "$GENVX_SHELL_ANSWER"
if [ -n "${GENVX_SHELL_PATH-}" ]; then export PATH="$PATH:$GENVX_SHELL_PATH"; fi
if [ -n "${GENVX_SHELL_FIRST-}" ]; then export PATH="$GENVX_SHELL_FIRST:$PATH"; fi
unset GENVX_SHELL_ANSWER GENVX_SHELL_FILES GENVX_SHELL_LOGIN GENVX_SHELL_PATH GENVX_SHELL_FIRST
