"""Two stacks that start at the same moment, and the ports that they choose."""

import random
import subprocess
import sys
from pathlib import Path

from lastmetre.devstack.ports import Ports, free_port

_OTHER = """
import random, sys
from lastmetre.devstack.ports import free_port
random.seed(7)
print(free_port(), flush=True)
sys.stdin.read()
"""


def test_a_port_that_another_process_chose_is_not_chosen_though_nobody_listens(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout
        theirs = int(other.stdout.readline())
        random.seed(7)
        assert free_port() != theirs
        kept = tmp_path / "ports.json"
        kept.write_text(f'{{"kafka": {theirs}}}', "utf-8")
        assert Ports(kept).get("kafka") != theirs, "one of last time is somebody else's now"
        other.communicate("")
    kept.write_text(f'{{"kafka": {theirs}}}', "utf-8")
    assert Ports(kept).get("kafka") == theirs, "let go of at the process's end"
    assert Ports(kept).get("kafka") == theirs, "a stack that starts again in the same process"
