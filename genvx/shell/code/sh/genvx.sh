# The command genvx, for bash, zsh and every sh. Whatever genvx answers is assigned, line by line,
# and never evaluated.
unalias genvx 2>/dev/null || :
# Within eval, because zsh reads all that shell-init says before it removes an alias of the user's.
eval 'genvx() { __genvx_command "$@"; }'

__genvx_command() {
    case ${1-} in
    activate)
        shift
        __genvx_activate "$@"
        ;;
    deactivate)
        shift
        __genvx_deactivate "$@"
        ;;
    attach | detach)
        # The exit code goes where it is ours alone: in sh a function has no other local variable.
        if command genvx "$@"; then set -- 0; else set -- "$?"; fi
        __genvx_refresh
        return "$1"
        ;;
    *)
        command genvx "$@"
        ;;
    esac
}

# A shell may have been opened by a genvx that is not on its PATH.
__genvx_is_found() {
    (
        unset -f genvx
        command -v genvx
    ) >/dev/null 2>&1
}
