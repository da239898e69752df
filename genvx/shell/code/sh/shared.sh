#include sh/genvx.sh

# $1, lines: the lease's file, the mark of the prompt (empty: as it is), the values of the variables.
# A read at the end of the lines fails, and must not end a shell that has set -e.
__genvx_assign() {
    {
        IFS= read -r __genvx_lease || :
        IFS= read -r __genvx_word || :
        __genvx_mark=${__genvx_word:-${__genvx_mark-}}
#each
        IFS= read -r @NAME@ || :
#end
    } <<__GENVX_END
$1
__GENVX_END
    export @NAMES@
    unset __genvx_word
}

__genvx_mark_prompt() {
    case $- in *i*) PS1=$__genvx_mark${PS1-\$ } ;; esac
}

# Another terminal may have attached or detached devices, or ended the environment. There is no
# prompt hook in sh: it asks after its own attach and detach.
__genvx_refresh() {
    [ -n "${__genvx_lease-}" ] && __genvx_is_found || return 0
    __genvx_word=0
    __genvx_reply=$(command genvx shell-refresh "$__genvx_lease") || __genvx_word=$?
    case $__genvx_word in
    0) __genvx_assign "$__genvx_reply" ;;
    @ENDED@) __genvx_ended ;;
    esac
    unset __genvx_reply __genvx_word
}
