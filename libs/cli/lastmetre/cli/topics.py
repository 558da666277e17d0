"""`lastmetre topics`: the broker agrees with the declaration."""

import asyncio
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from lastmetre.cli.console import STDOUT, Trouble, print_document, working
from lastmetre.cli.profile import installation
from lastmetre.common.contracts.topics import REPLICAS
from lastmetre.common.kafka.topics import (
    TooFewBrokers,
    TopicReport,
    TopicState,
    apply_topics,
    describe_topics,
)

app = typer.Typer(name="topics", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Development = Annotated[
    bool, typer.Option("--development", help="Fewer than three brokers are enough.")
]

_STYLES: Final = {
    TopicState.AS_DECLARED: "green",
    TopicState.CREATED: "cyan",
    TopicState.ALTERED: "cyan",
    TopicState.TO_CREATE: "cyan",
    TopicState.TO_ALTER: "cyan",
}


@app.callback()
def topics() -> None:
    """The topics on the broker, as lastmetre.common.contracts.topics declares them.

    `KAFKA_BOOTSTRAP_SERVERS` (and `LASTMETRE_TOPIC_PREFIX`) name another cluster than the stack's.

    Examples:

        lastmetre topics describe
        KAFKA_BOOTSTRAP_SERVERS=kafka.example.org:9092 lastmetre topics apply
    """


@app.command()
def apply(
    as_json: Json = False,
    development: Development = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False,
) -> None:
    """Create topics that are missing and correct settings that differ; never partitions or copies.

    Settings that are not declared stay as they are.
    """
    access, prefix = installation().broker()
    development = development or installation().is_development()
    with working("applying topics"):
        try:
            reports = asyncio.run(
                apply_topics(access, prefix, development=development, dry_run=dry_run)
            )
        except TooFewBrokers as error:
            raise Trouble(
                f"{error}.", "start the others first; --development is for a stack of one."
            ) from None
    _show(reports, as_json=as_json)


@app.command()
def describe(as_json: Json = False, development: Development = False) -> None:
    """Show every topic as the broker has it; exits with 1 if one is not as declared."""
    access, prefix = installation().broker()
    development = development or installation().is_development()
    with working("asking the broker"):
        reports = asyncio.run(describe_topics(access, prefix, development=development))
    _show(reports, as_json=as_json)


def _show(reports: list[TopicReport], *, as_json: bool) -> None:
    if as_json:
        print_document({"topics": [_document(each) for each in reports]})
    else:
        STDOUT.print(_table(reports))
    wrong = [f"{each.name}: {_what(each)}" for each in reports if each.wrong]
    if wrong:
        states = {each.state for each in reports}
        raise Trouble("topics are not as declared:\n  " + "\n  ".join(wrong), _way_out(states))


def _way_out(states: set[TopicState]) -> str:
    ways = []
    if TopicState.WRONG_PARTITIONS in states:
        ways.append(
            "partitions never change, since keys would move: use another topic prefix,"
            " or delete the topic if nothing in it is needed."
        )
    if TopicState.WRONG_REPLICAS in states:
        ways.append(
            "Kafka's kafka-reassign-partitions.sh changes the copies of a topic: --execute with"
            f" a file with {REPLICAS} brokers for each partition. Then `lastmetre topics apply`."
        )
    return " ".join(ways) or "`lastmetre topics apply`."


def _what(report: TopicReport) -> str:
    if report.state is TopicState.WRONG_PARTITIONS:
        return f"{report.partitions} partitions"
    if report.state is TopicState.WRONG_REPLICAS:
        return f"wrong replicas ({report.replicas})"
    settings = ", ".join(
        f"{name} {found} → {wanted}" for name, (found, wanted) in report.differing.items()
    )
    return f"{report.state.value}{f' ({settings})' if settings else ''}"


def _table(reports: list[TopicReport]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("topic", "key", "kept", "cleanup"):
        table.add_column(column, no_wrap=True)
    table.add_column("partitions", justify="right")
    table.add_column("replicas", justify="right")
    table.add_column("state", overflow="fold")
    for each in reports:
        settings = each.topic.settings
        days = each.topic.retention_ms // 86_400_000
        table.add_row(
            each.name,
            each.topic.key,
            "for ever" if each.topic.retention_ms < 0 else f"{days} days",
            settings["cleanup.policy"],
            str(each.partitions),
            str(each.replicas),
            f"[{_STYLES.get(each.state, 'bold red')}]{_what(each)}[/]",
        )
    return table


def _document(report: TopicReport) -> dict[str, Any]:
    return {
        "name": report.name,
        "key": report.topic.key,
        "state": report.state.value,
        "partitions": report.partitions,
        "replicas": report.replicas,
        "settings": report.topic.settings,
        "differing": {
            name: {"found": found, "wanted": wanted}
            for name, (found, wanted) in report.differing.items()
        },
    }
