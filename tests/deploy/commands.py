"""Whether what a container is told to run is something that the image has."""

from importlib.util import find_spec
from typing import Any

import typer.main

from lastmetre.cli.main import app


def missing_from_the_image(command: list[str]) -> str:
    """What of the command does not exist; empty if all of it does."""
    match command:
        case ["python", "-m", module]:
            return "" if find_spec(module) and find_spec(f"{module}.__main__") else module
        case ["lastmetre", *words]:
            return _unknown(words)
        case _:
            return command[0]


def _unknown(words: list[str]) -> str:
    """The first word that is no command of the one before, or no option of the last."""
    command: Any = typer.main.get_command(app)
    for word in words:
        if word.startswith("--"):
            if not any(word in each.opts for each in command.params):
                return word
        elif word not in command.commands:
            return word
        else:
            command = command.commands[word]
    return ""
