"""The tool `recover`: what `case.events` has lost is sent again.

It has no bootstrap, since it is one use case with its settings: it puts that together itself.
"""

import argparse
import asyncio
import json
import sys
from functools import partial
from typing import Any, TextIO

from aiokafka.errors import KafkaError

from lastmetre.common.kafka.topic_reader import TopicsUnreadable, open_topics
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.starting import saying_what_is_wrong
from lastmetre.common.service.tool_progress import Progress
from lastmetre.dispatch.application.recover_ledger import CannotRecover, Outcome, RecoverLedger
from lastmetre.dispatch.settings import RecoverSettings


async def recover(settings: RecoverSettings, *, dry_run: bool, progress: TextIO) -> Outcome:
    """Send again what the topic lacks, or only count it; raises what the use case raises."""
    use_case = RecoverLedger(
        settings.database_url.get_secret_value(),
        partial(
            open_topics,
            settings.kafka,
            settings.topic_prefix,
            "dispatch-recover",
            earliest_if_gone=False,
        ),
        Progress(progress).tell,
    )
    return await use_case(dry_run=dry_run)


def main() -> int:
    """Exit code: 0 nothing is missing any more, 1 something is or it cannot be done, 2 usage."""
    parser = argparse.ArgumentParser(
        prog="python -m lastmetre.dispatch.entrypoints.recover",
        description=(__doc__ or "").split("\n", 1)[0],
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="count what is missing, send nothing"
    )
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    arguments = parser.parse_args()
    try:
        outcome = asyncio.run(
            recover(RecoverSettings(), dry_run=arguments.dry_run, progress=sys.stderr)
        )
    except (CannotRecover, TopicsUnreadable, KafkaError, *DATABASE_ERRORS) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    if arguments.json:
        sys.stdout.write(json.dumps(_document(outcome)) + "\n")
    else:
        sys.stdout.write(_words(outcome))
    return 0 if outcome.ok else 1


def _document(outcome: Outcome) -> dict[str, Any]:
    return {
        "action": "recover",
        "dry_run": outcome.dry_run,
        "ok": outcome.ok,
        "events_on_topic": outcome.on_topic,
        "records_that_name_no_event": outcome.foreign,
        "events_waiting_in_outbox": outcome.waiting,
        "missing_events": outcome.missing,
        "cases_with_missing_events": outcome.cases,
        "sent_events": outcome.sent,
        "events_without_body": outcome.without_body,
        "bodies_kept": outcome.bodies_kept,
        "relay_released": outcome.relay_released,
        "seconds": round(outcome.seconds, 3),
        "cannot_be_had_again": [
            {"case_id": str(case_id), "number": number, "seqs": seqs}
            for case_id, number, seqs in outcome.lost
        ],
    }


def _words(outcome: Outcome) -> str:
    lines = [f"{outcome.missing} events of {outcome.cases} cases are missing on the topic"]
    if not outcome.dry_run:
        lines.append(f"{outcome.sent} are in the outbox; dispatch sends them when it runs")
    if outcome.bodies_kept:
        lines.append(f"{outcome.bodies_kept} events have their body in the ledger now")
    if outcome.without_body:
        lines.append(f"{outcome.without_body} cannot be had again: the ledger has no body of them")
        lines += [
            f"  {number}: seq {', '.join(map(str, seqs))}" for _, number, seqs in outcome.lost
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(saying_what_is_wrong("recover", main))
