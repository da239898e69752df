# genvx in this shell: genvx shell-init fish | source, in ~/.config/fish/config.fish.
#include fish/shared.fish

function __genvx_activate
    for word in $argv
        switch $word
            case -h --help --
                command genvx activate $argv
                return
        end
    end
    set -l active
    if set -q __genvx_lease
        if test -e $__genvx_lease
            set active active
        else
            __genvx_ended
        end
    end
    set -l reply (command genvx activate --in-shell "fish:$fish_pid:$active" $argv)
    set -l code $status
    if test $code -eq @ELSEWHERE@
        command genvx activate $argv
        return
    else if test $code -ne 0
        return $code
    end
    for name in $__genvx_names
        set -g __genvx_was_$name
        set -qg $name; and set -g __genvx_was_$name = $$name
        set -qgx $name; and set -g __genvx_exported_$name
    end
    __genvx_assign $reply
    status is-interactive; and __genvx_hook
    return 0
end

function __genvx_deactivate
    if test (count $argv) -gt 0; or not set -q __genvx_lease
        command genvx deactivate $argv
    else
        __genvx_ended
    end
end

# Restore all that activate has changed.
function __genvx_ended
    command genvx shell-leave $__genvx_lease
    for name in $__genvx_names
        set -l was __genvx_was_$name
        set -l exported __genvx_exported_$name
        set -eg $name
        if test (count $$was) -gt 0
            if set -q $exported
                set -gx $name $$was[1][2..-1]
            else
                set -g $name $$was[1][2..-1]
            end
        end
        set -eg $was
        set -eg $exported
    end
    if functions -q __genvx_at_prompt
        functions -e __genvx_at_prompt fish_prompt __genvx_status
        if functions -q __genvx_user_prompt
            functions -c __genvx_user_prompt fish_prompt
            functions -e __genvx_user_prompt
        end
    end
    set -eg __genvx_lease
    set -eg __genvx_mark
end

# What a shell within an environment was given wins over what its start-up files say.
function __genvx_keep
    for word in (string split0 </proc/$fish_pid/environ)
        set -l pair (string split -m 1 = -- $word)
        contains -- $pair[1] $__genvx_names; and set -gx $pair[1] $pair[2]
    end
end

# In a window of tmux, join the environment that it was opened in.
function __genvx_window
    set -l found (command sh -c '@WINDOW@' sh $fish_pid)
    set -l word (string split -m 1 ' ' -- $found)
    switch "$word[1]"
        case join
            if set -q GENVX_ENVIRONMENT_ID
                for name in $__genvx_names
                    set -eg $name
                end
            end
            if __genvx_activate --no-load --id $word[2]
                set -l name $GENVX_ENVIRONMENT_NAME
                test -n "$name"; or set name $GENVX_ENVIRONMENT_ID
                echo "genvx: this window has joined $name; genvx deactivate leaves it" >&2
            end
            return 0
        case offer
            echo "genvx: this window is outside of its session's environment; genvx activate --id $word[2] joins it" >&2
    end
    return 1
end

if not set -q __genvx_lease
    set -q GENVX_ENVIRONMENT_ID; and __genvx_keep
    if status is-interactive; and set -q GENVX_ENVIRONMENT_ID; or set -q TMUX
        # Before the first prompt, when the start-up files are read.
        function __genvx_begin --on-event fish_prompt
            functions -e __genvx_begin
            set -q __genvx_lease; and return 0
            set -q TMUX; and __genvx_window; and return 0
            set -q GENVX_ENVIRONMENT_ID; and __genvx_keep
        end
    end
end
