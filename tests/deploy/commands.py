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
    """The first word that is no command of the one before, and neither an option of the last with
    its value nor an argument."""
    command: Any = typer.main.get_command(app)
    rest = iter(words)
    arguments = 0
    for word in rest:
        if word.startswith("--"):
            option = next((each for each in command.params if word in each.opts), None)
            if option is None or (not option.is_flag and next(rest, None) is None):
                return word
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return word
            command = command.commands[word]
        else:
            arguments += 1
            if arguments > sum(each.param_type_name == "argument" for each in command.params):
                return word
    return ""
