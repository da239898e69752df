"""The code of shells that an environment is activated in, and how a shell is started with it.

The code is in code/, a directory for each shell: `shared` is for every activated shell, `init` for
the shell that `genvx shell-init` is evaluated in, and the rest are start-up files of the shell that
`genvx activate` opens. Nothing here touches the machine: `local/startfiles.py` writes the files.
"""
