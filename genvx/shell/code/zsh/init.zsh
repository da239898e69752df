# genvx in this shell: eval "$(genvx shell-init zsh)" in ~/.zshrc.
#include zsh/shared.zsh

__genvx_activate() {
    emulate -L zsh
    local word file fd reply code=0
    for word in "$@"; do
        case $word in -h | --help | --)
            command genvx activate "$@"
            return
            ;;
        esac
    done
    [[ -z ${__genvx_lease-} || -e $__genvx_lease ]] || __genvx_ended
    if [[ -z ${__genvx_lease-} && -n ${__genvx_fd-} ]]; then
        # Ctrl-C has ended us the last time.
        exec {__genvx_fd}>&-
        unset __genvx_fd
    fi
    file=$(command genvx activate --in-shell "zsh:$$:${__genvx_lease:+active}" "$@") || code=$?
    if (( code == @ELSEWHERE@ )); then
        command genvx activate "$@"
        return
    elif (( code != 0 )); then
        return $code
    fi
    exec {fd}<>"$file" || return 6
    typeset -g __genvx_fd=$fd
    reply=$(command genvx activate --in-shell "zsh:$$:$fd" "$@") || code=$?
    if (( code != 0 )); then
        exec {fd}>&-
        unset __genvx_fd
        command rm -f -- "$file"
        return $code
    fi
    __genvx_remember
    __genvx_assign "$reply"
    [[ ! -o interactive ]] || __genvx_hook __genvx_prompt
}

__genvx_remember() {
    emulate -L zsh
    local name
    typeset -ga __genvx_was
    __genvx_was=()
    for name in $__genvx_names; do
        # Which of its attributes, and its value: nothing where it is unset, x where it is exported.
        if [[ ${(tP)name} == *export* ]]; then __genvx_was+=(x); else __genvx_was+=(-); fi
        if (( ${(P)+name} )); then __genvx_was+=("=${(P)name}"); else __genvx_was+=(""); fi
    done
    typeset -g __genvx_hooks_were=${+precmd_functions}
}

__genvx_deactivate() {
    emulate -L zsh
    if [[ $# -gt 0 || -z ${__genvx_lease-} ]]; then
        command genvx deactivate "$@"
    else
        __genvx_ended
    fi
}

# Restore all that activate has changed.
__genvx_ended() {
    emulate -L zsh
    local at name
    [[ -z ${__genvx_fd-} ]] || exec {__genvx_fd}>&-
    for at in {1..$#__genvx_names}; do
        name=$__genvx_names[at]
        unset $name
        [[ $__genvx_was[2*at-1] != x ]] || export $name
        if [[ -n $__genvx_was[2*at] ]]; then
            typeset -g "$name=${__genvx_was[2*at]#=}"
        elif [[ $__genvx_was[2*at-1] != x ]]; then
            unset $name
        fi
    done
    PROMPT=${PROMPT#"$__genvx_mark"}
    if (( ${+precmd_functions} )); then
        precmd_functions=("${(@)precmd_functions:#__genvx_prompt}")
        (( __genvx_hooks_were )) || unset precmd_functions
    fi
    unset __genvx_fd __genvx_lease __genvx_mark __genvx_was __genvx_hooks_were
}

# What a shell within an environment was given wins over what its start-up files say.
__genvx_keep() {
    emulate -L zsh
    local word
    for word in "${(@0)$(</proc/$$/environ)}"; do
        (( ! ${__genvx_names[(Ie)${word%%=*}]} )) || export "$word"
    done
} 2>/dev/null

# In a window of tmux, join the environment that it was opened in.
__genvx_window() {
    emulate -L zsh
    local found
    found=$(command sh -c '@WINDOW@' sh "$$") || :
    case $found in
    "join "*)
        [[ -z ${GENVX_ENVIRONMENT_ID-} ]] || unset $__genvx_names
        if __genvx_activate --no-load --id "${found#* }"; then
            echo "genvx: this window has joined ${GENVX_ENVIRONMENT_NAME:-$GENVX_ENVIRONMENT_ID}; genvx deactivate leaves it" >&2
            __genvx_prompt
        fi
        return 0
        ;;
    "offer "*)
        echo "genvx: this window is outside of its session's environment; genvx activate --id ${found#* } joins it" >&2
        ;;
    esac
    return 1
}

# Before the first prompt, when the start-up files are read.
__genvx_begin() {
    emulate -L zsh
    precmd_functions=("${(@)precmd_functions:#__genvx_begin}")
    (( $#precmd_functions )) || unset precmd_functions
    unfunction __genvx_begin
    [[ -z ${__genvx_lease-} ]] || return 0
    if [[ -n ${TMUX-} ]] && __genvx_window; then return 0; fi
    [[ -z ${GENVX_ENVIRONMENT_ID-} ]] || __genvx_keep
}

if [[ -z ${__genvx_lease-} ]]; then
    [[ -z ${GENVX_ENVIRONMENT_ID-} ]] || __genvx_keep
    if [[ -o interactive && -n ${GENVX_ENVIRONMENT_ID-}${TMUX-} ]]; then
        __genvx_hook __genvx_begin
    fi
fi
