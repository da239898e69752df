# Whatever genvx answers is assigned, line by line, and never evaluated.
set -g __genvx_names @NAMES@

function genvx --wraps genvx
    switch "$argv[1]"
        case activate
            __genvx_activate $argv[2..-1]
        case deactivate
            __genvx_deactivate $argv[2..-1]
        case attach detach
            command genvx $argv
            set -l code $status
            __genvx_refresh
            return $code
        case '*'
            command genvx $argv
    end
end

# Lines: the lease's file, the mark of the prompt, the values of the variables.
function __genvx_assign
    set -g __genvx_lease $argv[1]
    set -q __genvx_mark; or set -g __genvx_mark $argv[2]
    for at in (seq (count $__genvx_names))
        set -gx $__genvx_names[$at] $argv[(math $at + 2)]
    end
end

# Mark the prompt, whatever it says, and ask at each prompt what has changed.
function __genvx_hook
    functions -q fish_prompt; and functions -c fish_prompt __genvx_user_prompt
    function fish_prompt
        set -l last $status
        printf '%s' $__genvx_mark
        __genvx_status $last
        functions -q __genvx_user_prompt; and __genvx_user_prompt; or echo '> '
    end
    function __genvx_status
        return $argv[1]
    end
    function __genvx_at_prompt --on-event fish_prompt
        __genvx_refresh
    end
end

# Another terminal may have attached or detached devices, or ended the environment: then the lease's
# directory is newer than its file, or the file is gone.
function __genvx_refresh
    test -n "$__genvx_lease"; or return 0
    if test -e $__genvx_lease; and not command test (dirname $__genvx_lease) -nt $__genvx_lease
        return 0
    end
    # A shell may have been opened by a genvx that is not on its PATH.
    command -sq genvx; or return 0
    set -l reply (command genvx shell-refresh $__genvx_lease)
    set -l code $status
    if test $code -eq @ENDED@
        __genvx_ended
    else if test $code -eq 0
        __genvx_assign $reply
    end
end
