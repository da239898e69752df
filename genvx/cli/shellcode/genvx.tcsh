# genvx in this shell: eval "`genvx shell-init tcsh`" in ~/.tcshrc defines an alias that reads this file.
# Whatever genvx answers is assigned, line by line, and never evaluated. tcsh has no functions: what is to be done is in
# __genvx_argv.
set __genvx_do = plain
set __genvx_code = 0
if ( $#__genvx_argv > 0 ) then
    switch ( "$__genvx_argv[1]" )
    case activate:
        set __genvx_do = activate
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
        if ( $?__genvx_lease && $#__genvx_argv == 1 ) set __genvx_do = deactivate
        breaksw
    case attach:
    case detach:
        env genvx $__genvx_argv:q
        set __genvx_code = $status
        set __genvx_do = nothing
        if ( $?__genvx_lease ) set __genvx_do = refresh
        breaksw
    case shell-refresh:
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
@REMEMBER@
        if ( $?prompt ) then
            set __genvx_prompt = "$prompt:q"
        endif
        set __genvx_precmd = "`alias precmd`"
        alias precmd 'set __genvx_last = $status; set __genvx_argv = ( shell-refresh ); source "@FILE@"; '"$__genvx_precmd:q"
        set __genvx_do = assign
    endif
endif
if ( $__genvx_do == plain ) then
    env genvx $__genvx_argv:q
    set __genvx_code = $status
endif
if ( $__genvx_do == refresh ) then
    set __genvx_reply = ( "`env genvx shell-refresh --lines $__genvx_lease:q`" )
    set __genvx_status = $status
    if ( $__genvx_status == @ENDED@ ) then
        set __genvx_do = deactivate
    else if ( $__genvx_status == 0 ) then
        set __genvx_do = assign
    endif
endif
if ( $__genvx_do == assign ) then
    # Lines, each behind a "=": the lease's file, the mark of the prompt, then the values of the variables.
    set __genvx_lease = "$__genvx_reply[1]:s/=//:q"
    if ( ! $?__genvx_mark ) set __genvx_mark = "$__genvx_reply[2]:s/=//:q"
@ASSIGN@
    if ( $?__genvx_prompt ) then
        set prompt = "${__genvx_mark}${__genvx_prompt:q}"
    endif
endif
if ( $__genvx_do == deactivate ) then
    env genvx shell-leave $__genvx_lease:q
@RESTORE@
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
