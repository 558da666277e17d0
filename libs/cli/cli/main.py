"""The `lastmetre` command: every command is a function in a module of its own."""

from typing import Any

import typer
from aiokafka.errors import KafkaError
from typer.core import TyperGroup

from cli import case, dead_letters, figures, people, topics
from cli.audit.command import audit
from cli.console import Trouble, print_trouble
from cli.contracts import command as contracts
from cli.demo.command import demo
from cli.importing.command import import_reports
from cli.importing.replay_command import replay_actions
from cli.network import command as network
from cli.stack import commands as stack
from cli.stack.errors import StackError
from cli.status.command import status


class Lastmetre(TyperGroup):
    """Ends every command that cannot go on with words and an exit code, never with a trace."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Trouble as trouble:
            print_trouble(trouble.problem, trouble.way_out)
            raise typer.Exit(trouble.exit_code) from trouble
        except StackError as error:
            print_trouble(str(error))
            raise typer.Exit(1) from error
        except KafkaError as error:
            print_trouble(
                f"Kafka: {error}", "is the stack running? `make up` starts it, `lastmetre status`"
                " shows what runs."
            )  # fmt: skip
            raise typer.Exit(1) from error


app = typer.Typer(
    name="lastmetre",
    cls=Lastmetre,
    help="Reports about the city, brought to the one person responsible for the spot.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",
)
for group in (stack, network, dead_letters, figures, topics, contracts, case):
    app.add_typer(group.app)
app.command("import")(import_reports)
for command in (demo, replay_actions, status, audit, people.token, people.channel_key):
    app.command()(command)


@app.callback()
def main() -> None:
    """Exit codes: 0 fine, 1 found something wrong, 2 used wrongly."""
