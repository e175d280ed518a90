"""A service's own fields: shown at the check, read with the form's kinds, told with the message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from config.units import name_of
from config.values import Service, ServiceField
from web.forms import Choice, Date, Digits, Kind, Line, Mail, Number, Phone, Text, Wrong
from web.uploads import Received

PREFIX = "s_"  # of the inputs' names, so that a service's field never meets one of ours
LONGEST = 2000  # characters of a text, where the service says nothing


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page shows of one field."""

    name: str  #: of the input
    label: str
    help: str
    kind: str
    required: bool
    choices: Sequence[tuple[str, str]]
    typed: Sequence[str]


@dataclass(frozen=True, slots=True)
class Answers:
    """What was typed into a service's fields: cleaned values by the field's name, fault words by the input's."""

    shown: Sequence[Asked]
    values: Mapping[str, str]
    errors: Mapping[str, str]

    def lines(self) -> str:
        """The answers as lines of a message, `label: value`."""
        return "\n".join(
            f"{one.label}: {self.values[one.name.removeprefix(PREFIX)]}"
            for one in self.shown
            if one.name.removeprefix(PREFIX) in self.values
        )


def answers(card: Service | None, form: Received, lang: str) -> Answers:
    """Read the fields of a service out of a form; none where no service was chosen."""
    values: dict[str, str] = {}
    errors: dict[str, str] = {}
    fields = card.fields if card else ()
    for field in fields:
        typed = [one for one in form.getall(PREFIX + field.name) if one.strip()]
        if not typed:
            if field.required:
                errors[PREFIX + field.name] = "empty"
            continue
        try:
            values[field.name] = _clean(field, typed, lang)
        except Wrong as wrong:
            errors[PREFIX + field.name] = wrong.word
    return Answers([_asked(field, form, lang) for field in fields], values, errors)


def _clean(field: ServiceField, typed: Sequence[str], lang: str) -> str:
    labels = {one.value: name_of(one.label, lang) for one in field.choices}
    if field.kind in ("choice", "multi"):
        chosen = typed if field.kind == "multi" else typed[:1]
        return "، ".join(labels[Choice(labels).clean([one])] for one in chosen)
    return str(_kind(field).clean(typed))


def _kind(field: ServiceField) -> Kind:
    low, high = int(field.low or 1), int(field.high or LONGEST)
    kinds: Mapping[str, Kind] = {
        "line": Line(min(high, 300), low),
        "text": Text(high, low),
        "code": Digits(high, low),
        "phone": Phone(),
        "mail": Mail(),
        "date": Date(),
        "number": Number(field.low if field.low is not None else -1e12, field.high if field.high is not None else 1e12),
    }
    return kinds[field.kind]


def _asked(field: ServiceField, form: Received, lang: str) -> Asked:
    return Asked(
        name=PREFIX + field.name,
        label=name_of(field.label, lang),
        help=name_of(field.help, lang),
        kind=field.kind,
        required=field.required,
        choices=[(one.value, name_of(one.label, lang)) for one in field.choices],
        typed=form.getall(PREFIX + field.name),
    )
