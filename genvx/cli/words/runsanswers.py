"""What to type for what people want to do with a run."""

from __future__ import annotations

# {} stands for "genvx" or "genvx remote", as the user typed it.
SUBMIT = "{} run --detach --gpus N --wait -- CMD goes on without you; {} runs shows it"
STOP = "{} runs stop RUN ends a run; {} release ENV gives GPUs of an environment back"
PAST = "{} runs shows runs and what became of them"
INSIDE = "{} ssh RUN -- CMD runs a command inside of a run, {} ssh RUN opens a shell"
ONE_RUN = "{} runs info RUN shows a run; RUN is an id, a name, or 1 for the latest"
DIFFERS = "{} runs compare RUN RUN shows what differs"
AGAIN = "{} runs restart RUN starts a run that is over again"
CALLED = "{} runs label RUN NAME gives a run another name, {} runs tag RUN TAG a tag"
GONE = "{} runs delete RUN moves a run to the trash; {} release ENV gives GPUs back"
OUTPUT = "{} logs RUN shows the output of a run, {} watch RUN follows it"
PORTS = "genvx remote tunnel RUN PORT makes a port of a run one of this machine"
BOARD = "genvx remote tunnel RUN --tensorboard shows TensorBoard on the files of a run"
