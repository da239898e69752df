# Run by sh in a window of tmux; $1: the pid of its shell. Prints "join ID" if the client that opened
# the window was started in an environment, or else the server was; "offer ID" if a shell of the same
# session has activated one. A server that was started elsewhere gives its windows no variable of an
# environment, and no server lets them inherit a lease. (No apostrophe: shells quote this with them.)
environment_of() {
    tr "\0" "\n" 2>/dev/null <"/proc/$1/environ" | sed -n "s/^GENVX_ENVIRONMENT_ID=//p"
}
# Where nobody is attached to the session, tmux names a client of another one: that did not open it.
attached="#{?#{==:#{client_session},#{session_name}},#{client_pid},}"
seen=$(tmux display-message -p -t "$TMUX_PANE" "#{pane_pid} 0$attached #{@genvx}" 2>/dev/null) || exit 0
# Of the window itself, and not of what runs in it; and of no shell that holds a lease already.
[ "${seen%% *}" = "$1" ] || exit 0
ls -l "/proc/$1/fd" 2>/dev/null | grep -q "[.]lease$" && exit 0
seen=${seen#* }
client=${seen%% *} offered=${seen#* }
id=
[ "$client" = 0 ] || id=$(environment_of "${client#0}")
[ -n "$id" ] || id=$(environment_of "$1")
if [ -n "$id" ]; then
    echo "join $id"
elif [ -n "$offered" ] && [ -e "${offered#* }" ]; then
    echo "offer ${offered%% *}"
fi
