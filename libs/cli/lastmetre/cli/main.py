"""The `lastmetre` command: every command is a function in a module of its own."""

import gc
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from lastmetre.cli.console import Trouble, print_trouble
from lastmetre.cli.profile import chosen_profile
from lastmetre.common.mapping.problems import MappingError
from lastmetre.common.tables.problems import TableError

COMMANDS: Final[Mapping[str, str]] = {
    "backup": "lastmetre.cli.backup.command:app",
    "restore": "lastmetre.cli.backup.restore_command:restore",
    "status": "lastmetre.cli.status.command:status",
    "doctor": "lastmetre.cli.doctor.command:doctor",
    "network": "lastmetre.cli.network.command:app",
    "channel": "lastmetre.cli.channel.command:app",
    "categories": "lastmetre.cli.categories:app",
    "gazetteer": "lastmetre.cli.gazetteer:app",
    "import": "lastmetre.cli.importing.command:import_reports",
    "replay-actions": "lastmetre.cli.importing.replay_command:replay_actions",
    "case": "lastmetre.cli.case:app",
    "dlq": "lastmetre.cli.dlq:app",
    "metrics": "lastmetre.cli.metrics_command:app",
    "ledger": "lastmetre.cli.ledger.command:app",
    "migrate": "lastmetre.cli.migrate:migrate",
    "recover": "lastmetre.cli.recover:recover",
    "rotate": "lastmetre.cli.rotate:app",
    "secrets": "lastmetre.cli.secret_files:app",
    "databases": "lastmetre.cli.databases:app",
    "topics": "lastmetre.cli.topics:app",
    "users": "lastmetre.cli.users:app",
    "vault": "lastmetre.cli.vault:app",
    "token": "lastmetre.cli.credentials:token",
    "channel-key": "lastmetre.cli.credentials:channel_key",
}
"""Each command with the function, or the group of commands, that it is."""
PLUGINS: Final = "lastmetre.commands"
"""Entry points: commands of other packages, such as the audit and the development stack."""


class _Commands(Mapping[str, Any]):
    """The commands, each imported when it is asked for: all of them together take seconds."""

    def __getitem__(self, name: str) -> Any:
        if name in COMMANDS:
            module, _, attribute = COMMANDS[name].partition(":")
            found = getattr(import_module(module), attribute)
        else:
            found = entry_points(group=PLUGINS)[name].load()
        around = typer.Typer(add_completion=False, rich_markup_mode="markdown")
        if isinstance(found, typer.Typer):
            around.add_typer(found, name=name)
        else:
            around.command(name)(found)
        around.callback()(main)
        return typer.main.get_group(around).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*COMMANDS, *sorted(entry_points(group=PLUGINS).names - COMMANDS.keys())))

    def __len__(self) -> int:
        return len(list(iter(self)))


class Lastmetre(TyperGroup):
    """Ends every command that cannot go on with words and an exit code, never with a trace."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands()  # type: ignore[assignment]

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        # What reads a city's whole log keeps most of it: collecting as often as by default took a
        # third of the audit's time.
        gc.set_threshold(50_000, 20, 100)
        try:
            return super().invoke(ctx)
        except Trouble as trouble:
            trouble.say()
            raise typer.Exit(trouble.exit_code) from trouble
        except (TableError, MappingError) as error:
            print_trouble(str(error), error.way_out)
            raise typer.Exit(2) from error
        except Exception as error:
            if not _is_kafkas(error):
                raise
            print_trouble(
                f"Kafka: {error}",
                "`lastmetre status` shows what answers; `make up` starts a development stack.",
            )
            raise typer.Exit(1) from error


def _is_kafkas(error: Exception) -> bool:
    """Whether it is a KafkaError: looked at by name, for its module is slow to import."""
    return any(kind.__module__ == "aiokafka.errors" for kind in type(error).__mro__)


app = typer.Typer(
    name="lastmetre",
    cls=Lastmetre,
    help="Reports about the city, brought to the one person responsible for the spot.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="markdown",
)


@app.callback()
def main(
    profile: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="Which installation: a profile of ~/.config/lastmetre/profiles.toml, or a file.",
        ),
    ] = None,
) -> None:
    """Exit codes: 0 fine, 1 found something wrong, 2 used wrongly.

    Addresses and tokens come from `--profile`, the environment, the profile that LASTMETRE_PROFILE
    names, or the development stack in LASTMETRE_HOME, in this order.
    """
    chosen_profile.set(profile)
