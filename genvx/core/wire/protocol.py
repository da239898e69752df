"""The wire: one Call in, one framed Reply out. Bytes in, values out; no socket here.

A call travels on stdin as `GENVX-CALL <length>\\n<json>`, so that what follows it on stdin belongs
to the command. Where stdin is a terminal, the call is one base64 word on the command line.

A reply is `GENVX-REPLY <token> <length> <json>\\n`. Login scripts and libraries print to stdout,
too, so the random token of the call distinguishes the reply from noise. The JSON is ASCII on one
line, which a terminal's line discipline leaves unchanged. The command's output follows the newline.

A host that has no agent says `GENVX-NEED <token>\\n` instead, and is sent one. `GENVX-MEMORY
<token>\\n` says that the host could not store it.
"""

from __future__ import annotations

# Both ends must have the same number. Raise it with each change that an older end would misread;
# fields that it may ignore, or that have a default, need no new number.
PROTOCOL = 2

# The client of a hold writes this to stdin now and then. A hold with a limit of silence takes a
# client that writes nothing for gone: sshd may notice a cut network only after hours.
ALIVE = b"."

# The value of the reply to a run, in place of a grant, by an agent that has stayed for too long:
# nothing was started, and another agent is to be asked.
STALE = "stale"
