# genvx in this shell (dash, ksh, any sh): eval "$(genvx shell-init sh)" in the file that $ENV names.
# Whatever genvx answers is assigned, line by line, and never evaluated.
unalias genvx 2>/dev/null || :

genvx() {
    case ${1-} in
    activate)
        shift
        __genvx_activate "$@"
        ;;
    deactivate)
        if [ "$#" -gt 1 ] || [ -z "${__genvx_lease-}" ]; then
            command genvx "$@"
        else
            __genvx_deactivate
        fi
        ;;
    attach | detach)
        __genvx_code=0
        command genvx "$@" || __genvx_code=$?
        __genvx_refresh
        return "$__genvx_code"
        ;;
    *)
        command genvx "$@"
        ;;
    esac
}

__genvx_activate() {
    for __genvx_word in "$@"; do
        case $__genvx_word in -h | --help | --)
            command genvx activate "$@"
            return
            ;;
        esac
    done
    [ -z "${__genvx_lease-}" ] || [ -e "$__genvx_lease" ] || __genvx_deactivate
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
@REMEMBER@
    __genvx_assign
    case $- in *i*) PS1=$__genvx_mark${PS1-} ;; esac
}

# Lines: the lease's file, the mark of the prompt, then the values of the variables.
__genvx_assign() {
    {
        IFS= read -r __genvx_lease
        IFS= read -r __genvx_word
        __genvx_mark=${__genvx_word:-${__genvx_mark-}}
@READ@
    } <<__GENVX_END
$__genvx_reply
__GENVX_END
    export @NAMES@
    unset __genvx_reply
}

# Another terminal may have attached or detached devices, or ended the environment.
__genvx_refresh() {
    [ -n "${__genvx_lease-}" ] || return 0
    __genvx_word=0
    __genvx_reply=$(command genvx shell-refresh "$__genvx_lease") || __genvx_word=$?
    if [ "$__genvx_word" -eq @ENDED@ ]; then
        __genvx_deactivate
    elif [ "$__genvx_word" -eq 0 ]; then
        __genvx_assign
    fi
}

__genvx_deactivate() {
    command genvx shell-leave "$__genvx_lease" || :
@RESTORE@
    if [ -n "$__genvx_prompt_was" ]; then PS1=${PS1#"$__genvx_mark"}; else unset PS1; fi
    unset __genvx_lease __genvx_mark __genvx_prompt_was __genvx_code __genvx_word
}

# What a shell within an environment was given wins over what its start-up files say.
__genvx_keep() {
@KEEP@
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
