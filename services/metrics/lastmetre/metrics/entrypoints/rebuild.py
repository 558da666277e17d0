"""The tool `rebuild`: the facts worked out anew from the whole ledger.

With `--verify` they are compared with the live facts instead. It has no bootstrap, since it is one
use case with its settings: it puts that together itself.
"""

import argparse
import asyncio
import json
import sys
from functools import partial
from typing import Any, TextIO

from aiokafka.errors import KafkaError

from lastmetre.common.kafka.codec import UnknownEventType
from lastmetre.common.kafka.topic_reader import TopicsUnreadable, open_topics
from lastmetre.common.postgres.errors import DATABASE_ERRORS
from lastmetre.common.service.starting import saying_what_is_wrong
from lastmetre.common.service.tool_progress import Progress
from lastmetre.metrics.application.rebuild_facts import (
    CannotRebuild,
    Outcome,
    RebuildFacts,
    VerifyFacts,
)
from lastmetre.metrics.domain.fact import Difference
from lastmetre.metrics.settings import RebuildSettings


async def rebuild(settings: RebuildSettings, *, verify: bool, progress: TextIO) -> Outcome:
    """Rebuild the facts, or verify them; raises what these use cases raise."""
    use_case = (VerifyFacts if verify else RebuildFacts)(
        settings.database_url.get_secret_value(),
        partial(
            open_topics,
            settings.kafka,
            settings.topic_prefix,
            "metrics-rebuild",
            earliest_if_gone=False,
        ),
        settings.city_time_zone,
        partial(Progress(progress).tell, "events"),
    )
    return await use_case()


def main() -> int:
    """Exit code: 0 fine, 1 differences or not possible now, 2 used wrongly."""
    parser = argparse.ArgumentParser(
        prog="python -m lastmetre.metrics.entrypoints.rebuild", description=__doc__
    )
    parser.add_argument("--verify", action="store_true", help="compare, change nothing")
    parser.add_argument("--json", action="store_true", help="one document on stdout")
    arguments = parser.parse_args()
    try:
        outcome = asyncio.run(
            rebuild(RebuildSettings(), verify=arguments.verify, progress=sys.stderr)
        )
    except (
        CannotRebuild,
        TopicsUnreadable,
        UnknownEventType,
        KafkaError,
        *DATABASE_ERRORS,
    ) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    if arguments.json:
        sys.stdout.write(json.dumps(_document(outcome, arguments.verify)) + "\n")
    else:
        sys.stdout.write(_words(outcome, arguments.verify))
    return 1 if outcome.differing else 0


def _document(outcome: Outcome, verified: bool) -> dict[str, Any]:
    return {
        "action": "verify" if verified else "rebuild",
        "ok": not outcome.differing,
        "cases": outcome.cases,
        "events": outcome.events,
        "unreadable_events": outcome.unreadable,
        "events_behind_a_hole": outcome.waiting,
        "seconds": round(outcome.seconds, 3),
        "differing_cases": [str(each) for each in outcome.differing],
        "differences": [_difference(each) for each in outcome.examples],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    live, rebuilt = difference.live, difference.rebuilt
    return {
        "case_id": str(difference.case_id),
        "live_seq": live.seq if live else None,
        "rebuilt_seq": rebuilt.seq if rebuilt else None,
        "fields": difference.fields,
    }


def _words(outcome: Outcome, verified: bool) -> str:
    done = "verified" if verified else "rebuilt"
    lines = [f"{outcome.cases} cases {done} from {outcome.events} events"
             f" in {outcome.seconds:.1f} s"]  # fmt: skip
    if outcome.unreadable or outcome.waiting:
        lines.append(
            f"{outcome.unreadable} events cannot be read, {outcome.waiting} wait behind a hole"
        )
    if outcome.differing:
        lines.append(f"{len(outcome.differing)} cases differ:")
        lines += [f"  {each.case_id}: {', '.join(each.fields) or 'missing'}"
                  for each in outcome.examples]  # fmt: skip
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(saying_what_is_wrong("rebuild", main))
