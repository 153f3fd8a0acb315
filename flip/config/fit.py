"""Whether a value fits a schema: yes or no, at no cost.

jsonschema says what is wrong and where, and takes 70 ms and 2.3 MB to be there,
which a daemon whose file is good would keep for all its life. It is asked when
the answer here is no. A test holds the two to the same answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any

Schema = Mapping[str, Any]
# A keyword's argument does not apply to values of other types: that is left to "type".
Check = Callable[[Any, Any, Schema], bool]

_PYTHON = {"object": dict, "array": list, "string": str, "boolean": bool}


def fits(value: Any, schema: Schema) -> bool:
    """Whether a value is what the schema asks for."""
    return all(CHECKS[keyword](value, asked, schema) for keyword, asked in schema.items())


def is_address(text: str) -> bool:
    """Whether it is an IPv4 or IPv6 address: the format "ip"."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def has_repeated_texts(value: list[Any]) -> bool:
    """Whether a text is in the list twice; no other items can be asked for to be unique."""
    texts = [item for item in value if isinstance(item, str)]
    return len(set(texts)) < len(texts)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _type(value: Any, name: str, schema: Schema) -> bool:
    if name == "number":
        return _is_number(value)
    if name == "integer":
        return _is_number(value) and (isinstance(value, int) or value.is_integer())
    return isinstance(value, _PYTHON[name])


def _properties(value: Any, asked: Mapping[str, Schema], schema: Schema) -> bool:
    return not isinstance(value, dict) or all(
        fits(value[name], inner) for name, inner in asked.items() if name in value
    )


def _additional(value: Any, asked: Any, schema: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    others = value.keys() - schema.get("properties", {}).keys()
    return not others if asked is False else all(fits(value[name], asked) for name in others)


CHECKS: Mapping[str, Check] = {
    "$schema": lambda value, asked, schema: True,
    "description": lambda value, asked, schema: True,
    "type": _type,
    "enum": lambda value, asked, schema: value in asked,
    "minimum": lambda value, asked, schema: not (_is_number(value) and value < asked),
    "maximum": lambda value, asked, schema: not (_is_number(value) and value > asked),
    "minLength": lambda value, asked, schema: not isinstance(value, str) or len(value) >= asked,
    "maxLength": lambda value, asked, schema: not isinstance(value, str) or len(value) <= asked,
    "pattern": lambda value, asked, schema: (
        not isinstance(value, str) or re.search(asked, value) is not None
    ),
    "format": lambda value, asked, schema: not isinstance(value, str) or is_address(value),
    "not": lambda value, asked, schema: not fits(value, asked),
    "anyOf": lambda value, asked, schema: any(fits(value, inner) for inner in asked),
    "items": lambda value, asked, schema: (
        not isinstance(value, list) or all(fits(item, asked) for item in value)
    ),
    "minItems": lambda value, asked, schema: not isinstance(value, list) or len(value) >= asked,
    "maxItems": lambda value, asked, schema: not isinstance(value, list) or len(value) <= asked,
    "uniqueItems": lambda value, asked, schema: (
        not isinstance(value, list) or not has_repeated_texts(value)
    ),
    "required": lambda value, asked, schema: (
        not isinstance(value, dict) or all(name in value for name in asked)
    ),
    "minProperties": lambda value, asked, schema: (
        not isinstance(value, dict) or len(value) >= asked
    ),
    "propertyNames": lambda value, asked, schema: (
        not isinstance(value, dict) or all(fits(name, asked) for name in value)
    ),
    "properties": _properties,
    "additionalProperties": _additional,
}
