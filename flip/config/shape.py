"""A JSON value against the schema: what is missing, unknown or of the wrong kind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flip.config.checks import CHECK
from flip.config.fit import fits, has_repeated_texts, is_address
from flip.config.places import Fault, Path, closest, meant, place, shown
from flip.config.settings import SERVER, TOP, schema
from flip.config.system_settings import POINT, SYSTEM

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

_HOMES = (
    ("the top of the file", TOP),
    ("servers.ID", SERVER),
    ("cluster.system.NAME", SYSTEM),
    ("a data point", POINT),
    ("cluster.system.NAME.check", CHECK),
)


def faults(value: Any) -> Iterator[Fault]:
    """Everything in which a JSON value differs from the schema."""
    if fits(value, schema()):
        return
    for error in validator().iter_errors(value):
        yield from _faults(error)


def validator() -> Any:
    """jsonschema's validator of configurations."""
    from jsonschema import Draft202012Validator, FormatChecker, validators

    checker = FormatChecker(formats=())
    checker.checks("ip")(lambda value: not isinstance(value, str) or is_address(value))
    extend: Any = validators.extend  # untyped
    return extend(Draft202012Validator, {"uniqueItems": _unique})(schema(), format_checker=checker)


def _unique(_validator: Any, _unique: bool, value: Any, _schema: Any) -> Iterator[ValidationError]:
    """jsonschema's own takes quadratic time when items are of several types."""
    from jsonschema.exceptions import ValidationError

    if isinstance(value, list) and has_repeated_texts(value):
        yield ValidationError("repeated items")


def _faults(error: ValidationError) -> Iterator[Fault]:
    path: Path = tuple(error.absolute_path)
    value: Any = error.instance
    schema: Any = error.schema
    needed: Any = error.validator_value
    if "propertyNames" in error.absolute_schema_path:
        yield Fault((*path, value), f"a bad name; expected {schema['description']}")
    elif error.validator == "additionalProperties":
        known = schema["properties"]
        for name in value:
            if name not in known:
                yield Fault((*path, name), f"there is no such setting{_hint(name, known)}")
    elif error.validator == "required":
        # jsonschema tells one missing name at a time, and in words only.
        for name in needed:
            if name not in value:
                expected = schema["properties"][name]["description"]
                yield Fault((*path, name), f"missing; expected {expected}")
    elif error.validator == "anyOf" and (form := _form(value, schema)) is not None:
        for inner in error.context or ():
            if inner.schema_path[0] == form:
                yield from _faults(inner)
    elif error.validator == "uniqueItems":
        yield from _repeated(path, value)
    else:
        found = _found(path, value)
        yield Fault(path, f"expected {schema['description']}, not {found}")


def _form(value: Any, schema: Any) -> int | None:
    """Which of several forms a value has; None when that says nothing about what is wrong."""
    forms = schema["anyOf"]
    if all("description" in form for form in forms):
        for at, form in enumerate(forms):
            if fits(value, {"type": form["type"]}):
                return at
    return None


def _hint(name: str, known: Any) -> str:
    """Where a setting of that name belongs, but for one that is here and all but the same."""
    if closest(name, known, alike=0.85) is None:
        for home, settings in _HOMES:
            if any(setting.name == name for setting in settings):
                return f"; it belongs to {home}"
    return meant(name, known)


def _repeated(path: Path, value: list[Any]) -> Iterator[Fault]:
    """Texts that are in the list before; anything else has no business there anyway."""
    first: dict[str, int] = {}
    for at, item in enumerate(value):
        if isinstance(item, str) and first.setdefault(item, at) != at:
            before = place((*path, first[item]))
            yield Fault((*path, at), f"{_found(path, item)} is in {before} already")


def _found(path: Path, value: Any) -> str:
    """The value, if it is no secret."""
    if path[:1] != ("key",):
        return shown(value)
    if isinstance(value, str):
        return "this text" if value else '""'
    return {bool: "true or false", type(None): "null"}.get(type(value), "this")
