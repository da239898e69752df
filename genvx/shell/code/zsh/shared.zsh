typeset -ga __genvx_names
__genvx_names=(@NAMES@)
#include sh/genvx.sh

# $1, lines: the lease's file, the mark of the prompt (empty: as it is), the values of the variables.
__genvx_assign() {
    emulate -L zsh
    local at
    local -a lines
    lines=("${(@f)1}")
    typeset -g __genvx_lease=$lines[1] __genvx_mark=${lines[2]:-${__genvx_mark-}}
    for at in {1..$#__genvx_names}; do
        export "${__genvx_names[at]}=${lines[at + 2]}"
    done
}

# Have a function run before each prompt.
__genvx_hook() {
    emulate -L zsh
    typeset -ga precmd_functions
    precmd_functions+=("$1")
}

# Marks the prompt at each prompt, since a theme may set it anew.
__genvx_prompt() {
    emulate -L zsh
    __genvx_refresh
    [[ -n ${__genvx_mark-} ]] || return 0
    [[ $PROMPT == "$__genvx_mark"* ]] || PROMPT=$__genvx_mark$PROMPT
}

# Another terminal may have attached or detached devices, or ended the environment: then the lease's
# directory is newer than its file, or the file is gone.
__genvx_refresh() {
    emulate -L zsh
    local reply code=0
    [[ -n ${__genvx_lease-} ]] || return 0
    [[ ${__genvx_lease:h} -nt $__genvx_lease || ! -e $__genvx_lease ]] || return 0
    __genvx_is_found || return 0
    reply=$(command genvx shell-refresh "$__genvx_lease") || code=$?
    case $code in
    0) __genvx_assign "$reply" ;;
    @ENDED@) __genvx_ended ;;
    esac
}
