"""How a service's process begins: told to stop before it has begun, it ends in order.

Imports the standard library alone, so that the handlers stand before what takes a second to import.
"""

import os
import signal
from importlib import import_module


def start(main_module: str) -> None:
    """Import the module and run its `main`; SIGTERM and SIGINT are minded from now on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_before_anything_began)
    import_module(main_module).main()


def _end_before_anything_began(*_: object) -> None:
    # At once, for an exception in the middle of an import may be caught there.
    os.write(2, b'{"event": "told to stop before anything began", "level": "info"}\n')
    os._exit(0)
