"""Tells a repeated command from something else that is asked under the same id.

Who asks for what on which case; when it happened and what was seen may differ.
"""

import hashlib
import json
from typing import Any, Final

from lastmetre.common.contracts.requests import ActionRequested, FeedbackGiven
from lastmetre.dispatch.domain.commands import kind_of

DIGEST_BYTES: Final = 16
VERSION: Final = 1


def fingerprint(request: ActionRequested | FeedbackGiven) -> bytes:
    """A digest of canonical JSON behind a byte for the version.

    Fields without a value are left out, so that a new one changes nobody's digest.
    """
    content: dict[str, Any] = {"case_id": str(request.case_id), "kind": kind_of(request)}
    if isinstance(request, ActionRequested):
        content |= {
            "role": request.actor.role.value,
            "actor": request.actor.id,
            "area_id": request.area_id,
            "return_reason": request.return_reason,
            "cancel_reason": request.cancel_reason,
            "category": request.category,
            "correction_reason": request.correction_reason,
            "position": request.position and request.position.model_dump(),
            "accuracy_metres": request.accuracy_metres,
            "into_case_id": request.into_case_id and str(request.into_case_id),
            "report_id": request.report_id and str(request.report_id),
        }
    else:
        content |= {
            "closing": request.closing,
            "solved": request.solved,
            "score": request.score,
            "reopen": request.reopen,
            "report_id": str(request.report_id) if request.report_id else None,
        }
    known = {name: value for name, value in content.items() if value is not None}
    text = json.dumps(known, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    digest = hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()
    return VERSION.to_bytes() + digest


def fingerprint_v0(request: ActionRequested | FeedbackGiven) -> bytes:
    """As builds of before compute and compare it: over the `repr` of a tuple.

    Goes one release after them, with the column `meaning`.
    """
    content: tuple[object, ...]
    if isinstance(request, ActionRequested):
        content = (
            request.actor.role.value,
            request.actor.id,
            request.area_id,
            request.return_reason,
            request.cancel_reason,
        )
    else:
        content = (request.closing, request.solved, request.score, request.reopen)
    text = f"{request.case_id} {kind_of(request)} {content}"
    return hashlib.blake2b(text.encode(), digest_size=DIGEST_BYTES).digest()
