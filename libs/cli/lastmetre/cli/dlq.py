"""`lastmetre dlq`: dead letters, and senders that were stopped for theirs."""

import typer

from lastmetre.cli.dead_letters import close, list_letters, replay, show
from lastmetre.cli.stopped_senders import release, senders

app = typer.Typer(name="dlq", no_args_is_help=True)
app.command("list")(list_letters)
app.command()(show)
app.command()(replay)
app.command()(close)
app.command()(senders)
app.command()(release)


@app.callback()
def dlq() -> None:
    """Dead letters: what could not be handled, with the reason.

    A dead letter keeps later events of its case waiting, never those of others. A sender more than
    half of whose records are dead letters is stopped: what it sends is held back until its release.

    Examples:

        lastmetre dlq list
        lastmetre dlq show dispatch 3
        lastmetre dlq replay dispatch 3 --body corrected.json --dry-run
        lastmetre dlq replay dispatch --all
        lastmetre dlq close dispatch 3 --reason "the partner sent it again"
        lastmetre dlq senders
        lastmetre dlq release intake /channels/app/partner
    """
