alias genvx 'set __genvx_argv = ( \!* ); source "@FILE@"'
