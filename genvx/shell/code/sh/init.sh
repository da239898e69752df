# genvx in this shell (dash, ksh, any sh): eval "$(genvx shell-init sh)" in the file that $ENV names.
#include sh/shared.sh

__genvx_activate() {
    for __genvx_word in "$@"; do
        case $__genvx_word in -h | --help | --)
            command genvx activate "$@"
            return
            ;;
        esac
    done
    [ -z "${__genvx_lease-}" ] || [ -e "$__genvx_lease" ] || __genvx_ended
    __genvx_code=0
    __genvx_reply=$(command genvx activate --in-shell "sh:$$:${__genvx_lease:+active}" "$@") || __genvx_code=$?
    if [ "$__genvx_code" -eq @ELSEWHERE@ ]; then
        unset __genvx_reply
        command genvx activate "$@"
        return
    elif [ "$__genvx_code" -ne 0 ]; then
        unset __genvx_reply
        return "$__genvx_code"
    fi
    __genvx_prompt_was=${PS1+=$PS1}
#each
    __genvx_was_@NAME@=${@NAME@+=$@NAME@}
    case $(export -p) in *" @NAME@="* | *" @NAME@
"*) __genvx_exported_@NAME@=x ;; *) __genvx_exported_@NAME@= ;; esac
#end
    __genvx_assign "$__genvx_reply"
    unset __genvx_reply
    __genvx_mark_prompt
}

__genvx_deactivate() {
    if [ "$#" -gt 0 ] || [ -z "${__genvx_lease-}" ]; then
        command genvx deactivate "$@"
    else
        __genvx_ended
    fi
}

# Restore all that activate has changed.
__genvx_ended() {
    command genvx shell-leave "$__genvx_lease" || :
#each
    unset @NAME@
    [ -z "$__genvx_was_@NAME@" ] || @NAME@=${__genvx_was_@NAME@#=}
    [ -z "$__genvx_exported_@NAME@" ] || export @NAME@
    unset __genvx_was_@NAME@ __genvx_exported_@NAME@
#end
    if [ -n "$__genvx_prompt_was" ]; then PS1=${PS1#"$__genvx_mark"}; else unset PS1; fi
    unset __genvx_lease __genvx_mark __genvx_prompt_was __genvx_code __genvx_word
}

# What a shell within an environment was given wins over what its start-up files say.
__genvx_keep() {
#each
    __genvx_word=$(tr "\0" "\n" 2>/dev/null <"/proc/$$/environ" | sed -n "s/^@NAME@=/=/p")
    [ -z "$__genvx_word" ] || { @NAME@=${__genvx_word#=}; export @NAME@; }
#end
    unset __genvx_word
}

# In a window of tmux, join the environment that it was opened in.
__genvx_window() {
    __genvx_found=$(command sh -c '@WINDOW@' sh "$$") || :
    case $__genvx_found in
    "join "*)
        [ -z "${GENVX_ENVIRONMENT_ID-}" ] || unset @NAMES@
        if __genvx_activate --no-load --id "${__genvx_found#* }"; then
            echo "genvx: this window has joined ${GENVX_ENVIRONMENT_NAME:-$GENVX_ENVIRONMENT_ID}; genvx deactivate leaves it" >&2
        fi
        unset __genvx_found
        return 0
        ;;
    "offer "*)
        echo "genvx: this window is outside of its session's environment; genvx activate --id ${__genvx_found#* } joins it" >&2
        ;;
    esac
    unset __genvx_found
    return 1
}

if [ -z "${__genvx_lease-}" ]; then
    if [ -z "${TMUX-}" ] || ! __genvx_window; then
        [ -z "${GENVX_ENVIRONMENT_ID-}" ] || __genvx_keep
    fi
fi
