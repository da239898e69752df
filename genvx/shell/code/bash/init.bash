# genvx in this shell: eval "$(genvx shell-init bash)" in ~/.bashrc.
#include bash/shared.bash

__genvx_activate() {
    local word file fd reply code=0
    for word; do
        case $word in -h | --help | --)
            command genvx activate "$@"
            return
            ;;
        esac
    done
    [ -z "${__genvx_lease-}" ] || [ -e "$__genvx_lease" ] || __genvx_ended
    if [ -z "${__genvx_lease-}" ] && [ -n "${__genvx_fd-}" ]; then
        # Ctrl-C has ended us the last time.
        exec {__genvx_fd}>&-
        unset -v __genvx_fd
    fi
    file=$(command genvx activate --in-shell "bash:$$:${__genvx_lease:+active}" "$@") || code=$?
    if [ "$code" -eq @ELSEWHERE@ ]; then
        command genvx activate "$@"
        return
    elif [ "$code" -ne 0 ]; then
        return "$code"
    fi
    exec {fd}<>"$file" || return 6
    __genvx_fd=$fd
    reply=$(command genvx activate --in-shell "bash:$$:$fd" "$@") || code=$?
    if [ "$code" -ne 0 ]; then
        exec {fd}>&-
        unset -v __genvx_fd
        command rm -f -- "$file"
        return "$code"
    fi
    __genvx_remember
    __genvx_assign "$reply"
    case $- in *i*) __genvx_hook __genvx_prompt || __genvx_prompt ;; esac
}

__genvx_remember() {
    local name attributes
    __genvx_was=()
    for name in "${__genvx_names[@]}"; do
        # Which of its attributes, and its value: nothing where it is unset, x where it is exported.
        attributes=$(declare -p "$name" 2>/dev/null) || :
        attributes=${attributes#declare -}
        case ${attributes%%[ =]*} in *x*) __genvx_was+=(x) ;; *) __genvx_was+=(-) ;; esac
        if [[ -v $name ]]; then __genvx_was+=("=${!name}"); else __genvx_was+=(""); fi
    done
    __genvx_prompt_was=${PS1+set}
    __genvx_command_was=${PROMPT_COMMAND+set}
}

__genvx_unhook() {
    local how at
    how=$(declare -p PROMPT_COMMAND 2>/dev/null) || :
    case ${how%% PROMPT*} in
    "declare -"*r*) ;;
    "declare -"*a*)
        for at in "${!PROMPT_COMMAND[@]}"; do
            [ "${PROMPT_COMMAND[at]}" != "$1" ] || unset -v "PROMPT_COMMAND[at]"
        done
        ;;
    ?*)
        PROMPT_COMMAND=$'\n'$PROMPT_COMMAND$'\n'
        PROMPT_COMMAND=${PROMPT_COMMAND/$'\n'"$1"$'\n'/$'\n'}
        PROMPT_COMMAND=${PROMPT_COMMAND#$'\n'}
        PROMPT_COMMAND=${PROMPT_COMMAND%$'\n'}
        ;;
    esac
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
    local at name
    [ -z "${__genvx_fd-}" ] || exec {__genvx_fd}>&-
    for at in "${!__genvx_names[@]}"; do
        name=${__genvx_names[at]}
        unset -v "$name"
        [ "${__genvx_was[2 * at]}" != x ] || export "${name?}"
        [ -z "${__genvx_was[2 * at + 1]}" ] || printf -v "$name" %s "${__genvx_was[2 * at + 1]#=}"
    done
    [ -z "${PS1+set}" ] || PS1=${PS1#"$__genvx_mark"}
    [ -n "$__genvx_prompt_was" ] || unset -v PS1
    __genvx_unhook __genvx_prompt
    [ -n "$__genvx_command_was" ] || unset -v PROMPT_COMMAND
    unset -v __genvx_fd __genvx_lease __genvx_mark __genvx_was __genvx_prompt_was __genvx_command_was
}

# What a shell within an environment was given wins over what its start-up files say.
__genvx_keep() {
    local word
    while IFS= read -r -d "" word; do
        case " ${__genvx_names[*]} " in *" ${word%%=*} "*) export "$word" ;; esac
    done <"/proc/$$/environ"
} 2>/dev/null

# In a window of tmux, join the environment that it was opened in.
__genvx_window() {
    local found
    found=$(command sh -c '@WINDOW@' sh "$$") || :
    case $found in
    "join "*)
        [ -z "${GENVX_ENVIRONMENT_ID-}" ] || unset -v "${__genvx_names[@]}"
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
    __genvx_unhook __genvx_begin
    [ -n "${PROMPT_COMMAND-}" ] || unset -v PROMPT_COMMAND
    unset -f __genvx_begin
    [ -z "${__genvx_lease-}" ] || return 0
    if [ -n "${TMUX-}" ] && __genvx_window; then return 0; fi
    [ -z "${GENVX_ENVIRONMENT_ID-}" ] || __genvx_keep
}

if [ -z "${__genvx_lease-}" ]; then
    [ -z "${GENVX_ENVIRONMENT_ID-}" ] || __genvx_keep
    case $- in
    *i*) [ -z "${GENVX_ENVIRONMENT_ID-}${TMUX-}" ] || __genvx_hook __genvx_begin || __genvx_begin ;;
    esac
fi
