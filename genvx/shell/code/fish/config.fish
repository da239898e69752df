# Read by a fish that genvx activate opens, after the user's own start-up files.
#include fish/shared.fish

function __genvx_activate
    command genvx activate $argv
end

function __genvx_deactivate
    if test (count $argv) -gt 0
        command genvx deactivate $argv
    else
        exit 0
    end
end

# The shell stays, since it may have work in it, but has nothing more to ask.
function __genvx_ended
    set -g __genvx_lease
end

# Once more: a start-up file may have changed the variables.
__genvx_assign (string split \n -- $GENVX_SHELL_ANSWER)
__genvx_hook
if set -q GENVX_SHELL_PATH
    set -gx PATH $PATH $GENVX_SHELL_PATH
    set -e GENVX_SHELL_PATH
end
if set -q GENVX_SHELL_FIRST
    set -gx PATH (string split : -- $GENVX_SHELL_FIRST) $PATH
    set -e GENVX_SHELL_FIRST
end
set -e GENVX_SHELL_ANSWER
set -e GENVX_SHELL_FILES
