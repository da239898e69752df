__genvx_names=(@NAMES@)
#include sh/genvx.sh

# $1, lines: the lease's file, the mark of the prompt (empty: as it is), the values of the variables.
# Those that are empty at the end may be missing.
__genvx_assign() {
    local lines at
    mapfile -t lines <<<"$1"
    __genvx_lease=${lines[0]-}
    __genvx_mark=${lines[1]:-${__genvx_mark-}}
    for at in "${!__genvx_names[@]}"; do
        export "${__genvx_names[at]}=${lines[at + 2]-}"
    done
}

# Have a function run before each prompt; 1 where that is readonly.
__genvx_hook() {
    local how
    how=$(declare -p PROMPT_COMMAND 2>/dev/null) || :
    case ${how%% PROMPT*} in
    "declare -"*r*) return 1 ;;
    "declare -"*a*) PROMPT_COMMAND+=("$1") ;;
    *) PROMPT_COMMAND="${PROMPT_COMMAND:+$PROMPT_COMMAND
}$1" ;;
    esac
}

# Marks the prompt at each prompt, since a PROMPT_COMMAND may set it anew.
__genvx_prompt() {
    __genvx_refresh
    [ -n "${__genvx_mark-}" ] || return 0
    case ${PS1-} in "$__genvx_mark"*) return 0 ;; esac
    case $(declare -p PS1 2>/dev/null) in "declare -"*r*" PS1="*) ;; *) PS1=$__genvx_mark${PS1-} ;; esac
}

# Another terminal may have attached or detached devices, or ended the environment: then the lease's
# directory is newer than its file, or the file is gone.
__genvx_refresh() {
    local reply code=0
    [ -n "${__genvx_lease-}" ] || return 0
    if [[ ! ${__genvx_lease%/*} -nt $__genvx_lease ]] || ! __genvx_is_found; then return 0; fi
    reply=$(command genvx shell-refresh "$__genvx_lease") || code=$?
    case $code in
    0) __genvx_assign "$reply" ;;
    @ENDED@) __genvx_ended ;;
    esac
}
