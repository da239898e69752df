"""The operations of a host, by name: the class of each, and the module that says how it travels.

An operation is a value. Its class (questions.py, acts.py, ongoing.py) says what is sent; the type
in brackets is what the far end replies. A new operation is a class, a line here and one in the
`WIRES` of the module that it names, a function of the agent (genvx/agent), and a method of SSHHost.
"""

from __future__ import annotations

OPERATIONS = {
    "snapshot": ("TakeSnapshot", "questioncodec"),
    "doctor": ("Examine", "findingcodec"),
    "policy": ("ShowPolicy", "policycodec"),
    "use": ("ShowUse", "questioncodec"),
    "port": ("FindPort", "questioncodec"),
    "enforce": ("EnforceOnce", "enforcing"),
    "release": ("Release", "actcodec"),
    "attach": ("Attach", "actcodec"),
    "detach": ("Detach", "actcodec"),
    "reserve": ("Reserve", "actcodec"),
    "signal": ("Signal", "actcodec"),
    "stop-when-idle": ("StopWhenIdle", "actcodec"),
    "hold": ("Hold", "ongoingcodec"),
    "run": ("Run", "ongoingcodec"),
    "lock": ("RunInTurn", "ongoingcodec"),
    "ssh": ("ServeSSH", "ongoingcodec"),
    "shell": ("OpenShell", "ongoingcodec"),
    "stay": ("Stay", "ongoingcodec"),
    "run-submit": ("SubmitRun", "runoperations"),
    "run-part": ("SubmitPart", "runoperations"),
    "run-decide": ("DecideRun", "runoperations"),
    "runs": ("ListRuns", "runoperations"),
    "run-find": ("FindRuns", "runoperations"),
    "python-find": ("FindPython", "runoperations"),
    "run-info": ("ShowRun", "runoperations"),
    "run-stop": ("StopRun", "runoperations"),
    "run-withdraw": ("WithdrawRun", "runoperations"),
    "run-mark": ("MarkRun", "runoperations"),
    "run-dispose": ("DisposeOfRun", "runoperations"),
    "run-watch": ("WatchRun", "runoperations"),
    "run-submit-watch": ("SubmitAndWatch", "runoperations"),
    "tree-find": ("FindTree", "treeoperations"),
    "tree-clean": ("CleanTrees", "treeoperations"),
    "run-pull": ("PullRun", "treeoperations"),
    "tree-send": ("SendTree", "treeoperations"),
    "files-put": ("PutFiles", "treeoperations"),
    "run-view": ("ViewRun", "viewoperation"),
}
