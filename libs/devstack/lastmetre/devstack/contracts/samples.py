"""A sample of a message: every field filled, so that a lost one is noticed."""

from collections.abc import Mapping
from typing import Any, Final

from lastmetre.common.contracts.reports import HEXADECIMAL

Schema = Mapping[str, Any]

_STRINGS: Final = {
    "uuid": "01890a5d-ac96-774b-bcce-b302099a8057",
    "date-time": "2026-11-22T08:15:30.250000Z",
}
_OUTLINE: Final = {
    "type": "Polygon",
    "coordinates": [[[113.7, 23.0], [113.8, 23.0], [113.8, 23.1], [113.7, 23.0]]],
}


def sample_of(schema: Schema) -> Any:
    """A value that follows `schema` (as pydantic writes it), the same one every time."""
    return _value(schema, schema, "")


def _value(schema: Schema, document: Schema, name: str) -> Any:
    if "$ref" in schema:
        return _value(document["$defs"][schema["$ref"].rsplit("/", 1)[1]], document, name)
    if "anyOf" in schema:
        filled = next(each for each in schema["anyOf"] if each.get("type") != "null")
        return _value(filled, document, name)
    if "const" in schema or "enum" in schema:
        return schema.get("const") or schema["enum"][-1]
    if name == "outline":
        return _OUTLINE
    if schema["type"] == "object":
        fields = schema.get("properties", {})
        return {key: _value(each, document, key) for key, each in fields.items()}
    if schema["type"] == "array":
        return [_value(schema["items"], document, name)]
    return _scalar(schema, name)


def _scalar(schema: Schema, name: str) -> Any:
    match schema["type"]:
        case "string":
            if schema.get("pattern") == HEXADECIMAL:
                return "0a1b2c"
            return _STRINGS.get(schema.get("format", ""), f"样本 {name}".strip())
        case "boolean":
            return True
        case "integer":
            return max(int(schema.get("minimum", 1)), 3)
        case "number":
            return min(float(schema.get("maximum", 22.5)), 22.5)
        case kind:
            raise ValueError(f"{name}: no sample for the type {kind}")
