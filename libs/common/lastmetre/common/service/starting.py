"""How a service's process begins: told to stop before it has begun, it ends in order.

Imports the standard library alone, so that the handlers stand before what takes a second to import.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TypeVar

Result = TypeVar("Result")
WRONG_SETTINGS = 2


def start(main_module: str) -> None:
    """Import the module and run its `main`; SIGTERM and SIGINT are minded from now on.

    Ends with WRONG_SETTINGS and a line for each setting that is missing or wrong.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end_before_anything_began)
    # What is imported stays: looking through it for garbage again and again is a third of a start.
    gc.disable()
    main = import_module(main_module).main
    gc.freeze()
    gc.enable()
    saying_what_is_wrong(main_module, main)


def saying_what_is_wrong(name: str, main: Callable[[], Result]) -> Result:
    """What `main` returns; wrong settings end the process as `start` says."""
    try:
        return main()
    except Exception as error:
        from lastmetre.common.service.wrong_settings import in_words

        words = in_words(error)
        if words is None:
            raise
        sys.stderr.write(f"{name} cannot start. {words}\n")
        sys.stderr.write("docs/configuration.md tells what each setting is.\n")
        sys.exit(WRONG_SETTINGS)


def _end_before_anything_began(*_: object) -> None:
    # At once, for an exception in the middle of an import may be caught there.
    os.write(2, b'{"event": "told to stop before anything began", "level": "info"}\n')
    os._exit(0)
