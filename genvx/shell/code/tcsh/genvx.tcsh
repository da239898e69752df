# What the command genvx does in tcsh, which has no functions: an alias puts its words into
# __genvx_argv and reads this file. __genvx_opened is set in a shell that genvx activate has opened.
# Whatever genvx answers is assigned, line by line, and never evaluated.
set __genvx_do = plain
set __genvx_code = 0
if ( $#__genvx_argv > 0 ) then
    switch ( "$__genvx_argv[1]" )
    case activate:
        if ( ! $?__genvx_opened ) set __genvx_do = activate
        foreach __genvx_word ( $__genvx_argv:q )
            if ( "$__genvx_word" == "-h" || "$__genvx_word" == "--help" || "$__genvx_word" == "--" ) then
                set __genvx_do = plain
            endif
        end
        set __genvx_pid = $$
        set __genvx_active = ""
        if ( $?__genvx_lease ) set __genvx_active = active
        breaksw
    case deactivate:
        # A shell that was opened is ended by genvx itself.
        if ( $?__genvx_lease && ! $?__genvx_opened && $#__genvx_argv == 1 ) set __genvx_do = restore
        breaksw
    case attach:
    case detach:
        env genvx $__genvx_argv:q
        set __genvx_code = $status
        set __genvx_do = nothing
        if ( $?__genvx_lease ) set __genvx_do = refresh
        breaksw
    case shell-refresh:
        # At the prompt. Another terminal may have attached or detached devices, or ended the
        # environment: then the lease's directory is newer than its file, or the file is gone.
        set __genvx_code = $__genvx_last
        set __genvx_do = nothing
        if ( $?__genvx_lease ) then
            set __genvx_do = refresh
            if ( -e "$__genvx_lease" ) then
                test "$__genvx_lease:h" -nt "$__genvx_lease"
                if ( $status != 0 ) set __genvx_do = nothing
            endif
        endif
        breaksw
    case shell-opened:
        set __genvx_reply = ( "`printenv GENVX_SHELL_ANSWER`" )
        set __genvx_do = enter
        breaksw
    endsw
endif
if ( $__genvx_do == activate ) then
    # Not within backquotes: they would look at the words once more.
    set __genvx_file = "@FILE@.${__genvx_pid}"
    env genvx activate --in-shell tcsh:${__genvx_pid}:$__genvx_active $__genvx_argv[2-]:q >! "$__genvx_file"
    set __genvx_code = $status
    set __genvx_reply = ( "`cat '$__genvx_file'`" )
    rm -f "$__genvx_file"
    if ( $__genvx_code == @ELSEWHERE@ ) then
        set __genvx_do = plain
    else if ( $__genvx_code == 0 ) then
#each
        set __genvx_was_@NAME@ = "`printenv @NAME@`"
        set __genvx_set_@NAME@ = $status
#end
        set __genvx_do = enter
    endif
endif
if ( $__genvx_do == plain ) then
    env genvx $__genvx_argv:q
    set __genvx_code = $status
endif
if ( $__genvx_do == refresh ) then
    # A shell may have been opened by a genvx that is not on its PATH.
    sh -c 'command -v genvx' >& /dev/null
    if ( $status != 0 ) set __genvx_do = nothing
endif
if ( $__genvx_do == refresh ) then
    set __genvx_reply = ( "`env genvx shell-refresh --lines $__genvx_lease:q`" )
    set __genvx_status = $status
    if ( $__genvx_status == @ENDED@ ) then
        set __genvx_do = restore
        # The shell stays, since it may have work in it, but has nothing more to ask.
        if ( $?__genvx_opened ) then
            set __genvx_do = nothing
            unset __genvx_lease
        endif
    else if ( $__genvx_status == 0 ) then
        set __genvx_do = assign
    endif
endif
if ( $__genvx_do == enter || $__genvx_do == assign ) then
    # Lines, each behind a "=": the lease's file, the mark of the prompt, the values of the variables.
    set __genvx_lease = "$__genvx_reply[1]:s/=//:q"
#each
    setenv @NAME@ "$__genvx_reply[@LINE@]:s/=//:q"
#end
endif
if ( $__genvx_do == enter ) then
    set __genvx_mark = "$__genvx_reply[2]:s/=//:q"
    if ( $?prompt ) then
        set __genvx_prompt = "$prompt:q"
        set prompt = "${__genvx_mark}${prompt:q}"
    endif
    set __genvx_precmd = "`alias precmd`"
    alias precmd 'set __genvx_last = $status; set __genvx_argv = ( shell-refresh ); source "@FILE@"; '"$__genvx_precmd:q"
    # Without a path there is nothing to look at.
    if ( "$__genvx_lease" == "" ) unset __genvx_lease
endif
if ( $__genvx_do == restore ) then
    env genvx shell-leave $__genvx_lease:q
#each
    if ( $__genvx_set_@NAME@ == 0 ) then
        setenv @NAME@ "$__genvx_was_@NAME@:q"
    else
        unsetenv @NAME@
    endif
    unset __genvx_was_@NAME@ __genvx_set_@NAME@
#end
    if ( $?__genvx_prompt ) then
        set prompt = "$__genvx_prompt:q"
    endif
    if ( "$__genvx_precmd:q" == "" ) then
        unalias precmd
    else
        alias precmd "$__genvx_precmd:q"
    endif
    unset __genvx_lease __genvx_mark __genvx_prompt __genvx_precmd __genvx_last
endif
unset __genvx_argv __genvx_do __genvx_reply __genvx_word __genvx_active __genvx_pid __genvx_file __genvx_status
eval "unset __genvx_code; sh -c 'exit $__genvx_code'"
