"""The `lastmetre` command: every command is a function in a module of its own."""

import typer

app = typer.Typer(
    name="lastmetre",
    help="Reports about the city, brought to the one person responsible for the spot.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    rich_markup_mode="rich",
)


@app.callback()
def main() -> None:
    """Exit codes: 0 fine, 1 found something wrong, 2 used wrongly."""
