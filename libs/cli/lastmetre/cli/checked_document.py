"""JSON documents that carry their own checksum, so that half a one is never taken for a whole."""

import hashlib
import json
from typing import Any


class DocumentDamaged(ValueError):
    """It is not JSON, or not what was written."""


def checked_document(content: Any) -> bytes:
    """`content`, of what JSON has, with its SHA-256 beside it."""
    document = {"sha256": _checksum(content), "content": content}
    return json.dumps(document, ensure_ascii=False, indent=1).encode() + b"\n"


def checked_content(document: bytes) -> Any:
    """What was written. Raises DocumentDamaged."""
    try:
        found = json.loads(document)
        checksum, content = found["sha256"], found["content"]
    except (ValueError, TypeError, KeyError) as error:
        raise DocumentDamaged("it is no document with a checksum") from error
    if _checksum(content) != checksum:
        raise DocumentDamaged("its checksum is another one")
    return content


def _checksum(content: Any) -> str:
    canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
