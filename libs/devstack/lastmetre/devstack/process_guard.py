"""Become a command that the kernel ends together with its parent, even after `kill -9` of that.

    python -I -S process_guard.py SIGNAL ENVIRONMENT COMMAND [ARGUMENT ...]

SIGNAL is a name such as SIGKILL. ENVIRONMENT is a JSON file of {variable: value}, laid over the
environment (null takes a variable away, "-" is no file): so passwords stay out of command lines
and of supervisord's settings.
The process stays the same one (exec), so its pid is the command's. Standard library only, for it
runs before every program, possibly as another user.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

PARENT_VARIABLE = "LASTMETRE_GUARD_PARENT"
_PR_SET_PDEATHSIG = 1


def _die_with_parent(number: signal.Signals) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The parent may have died before that took hold: then nothing would ever end us.
    expected = os.environ.get(PARENT_VARIABLE)
    if expected and os.getppid() != int(expected):
        sys.exit("process_guard: the parent is gone")
    os.environ[PARENT_VARIABLE] = str(os.getpid())


def _main(arguments: list[str]) -> None:
    name, environment, *command = arguments
    _die_with_parent(signal.Signals[name])
    if environment != "-":
        for variable, value in json.loads(Path(environment).read_text("utf-8")).items():
            if value is None:
                os.environ.pop(variable, None)
            else:
                os.environ[variable] = value
    os.execvp(command[0], command)  # noqa: S606


if __name__ == "__main__":
    _main(sys.argv[1:])
