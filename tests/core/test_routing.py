"""Rules: the first that fits, what beats them, and which rule is out of reach."""

from __future__ import annotations

import pytest

from core import routing
from core.channels import Inbound
from core.model import Contact, ContactKind, Kind
from core.routing import Facts, Rule, Rules, Then


def rule(name: str, unit: str | None = "water", urgent: bool = False, **when: object) -> Rule:
    keys = {key.replace("__", "."): [value] if isinstance(value, str) else value for key, value in when.items()}
    folded = {key: tuple(routing.folded(key, one) for one in values) for key, values in keys.items()}
    return Rule(name, folded, Then(unit=unit, urgent=urgent))


def rules(*items: Rule) -> Rules:
    return Rules(
        items, "secretariat", {"bill-check": "subscribers"}, {"210": "subscribers", "roads@example.ir": "roads"}
    )


def test_the_first_rule_that_fits_wins_and_says_why():
    both = rules(rule("cut", words__any=["قطعی", "قطع شده"]), rule("water", "other", words__any="آب"))
    found = routing.route(Facts("sms", "آبِ محله قطع شده است"), both)
    assert (found.unit, found.rule, dict(found.matched)) == ("water", "cut", {"words.any": "قطع شده"})


def test_all_keys_must_fit():
    only = rules(rule("x", channel="sms", words__any="آب"))
    assert routing.route(Facts("mail", "آب"), only).rule == "(none)"
    assert routing.route(Facts("sms", "برق"), only).rule == "(none)"
    assert routing.route(Facts("sms", "آب"), only).rule == "x"


@pytest.mark.parametrize("text", ["كنتور خراب است", "کُنتورها", "کنتور‌ها", "کنتورم"])
def test_words_are_compared_folded_and_a_star_is_a_prefix(text):
    assert routing.route(Facts("web", text), rules(rule("bill", words__any="کنتور*"))).rule == "bill"


def test_a_word_is_not_found_inside_another():
    assert routing.route(Facts("web", "آبان ماه"), rules(rule("water", words__any="آب"))).rule == "(none)"


def test_all_and_none_of_words():
    picky = rules(rule("x", words__all=["آب", "قطع"], words__none=["برق"]))
    assert routing.route(Facts("web", "آب قطع"), picky).rule == "x"
    assert routing.route(Facts("web", "آب"), picky).rule == "(none)"
    assert routing.route(Facts("web", "آب قطع و برق"), picky).rule == "(none)"


def test_the_citizens_choice_beats_rules_but_keeps_their_marks():
    urgent = rules(rule("danger", "emergency", urgent=True, words__any="خطر"))
    found = routing.route(Facts("web", "خطر", unit="roads"), urgent)
    assert (found.unit, found.rule, found.urgent) == ("roads", "(chosen)", True)
    assert routing.route(Facts("web", "خطر", service="bill-check"), urgent).unit == "subscribers"


def test_what_fits_nothing_goes_to_the_address_written_to_else_the_secretariat():
    none = rules(rule("x", words__any="آب"))
    assert routing.route(Facts("mail", "سلام", to=["Roads@example.ir"]), none).unit == "roads"
    assert routing.route(Facts("phone", "", to=["210"]), none).rule == "(address)"
    assert routing.route(Facts("mail", "سلام"), none).unit == "secretariat"


def test_plain_keys_and_hints():
    found = rules(rule("vip", sender="+98912*"), rule("menu", hint__door="3"))
    assert routing.route(Facts("sms", sender="+989120000000"), found).rule == "vip"
    assert routing.route(Facts("phone", hints={"door": "3"}), found).rule == "menu"
    assert routing.route(Facts("phone", hints={"door": "4"}), found).rule == "(none)"


def test_facts_of_a_message():
    letter = Inbound(
        "mail", "1", text="متن", subject="آب", kind=Kind.COMPLAINT, to=["a@example.ir"],
        contact=Contact(ContactKind.MAIL, "m@example.ir"), facts={"door": 3},
    )  # fmt: skip
    facts = routing.facts_of(letter)
    assert (facts.text, facts.kind, facts.sender, facts.hints) == (
        "آب\nمتن",
        "complaint",
        "m@example.ir",
        {"door": "3"},
    )


@pytest.mark.parametrize(
    ("first", "second", "out_of_reach"),
    [
        ({}, {"channel": "sms"}, True),
        ({"channel": "sms"}, {}, False),
        ({"channel": ["sms", "mail"]}, {"channel": "sms", "words__any": "آب"}, True),
        ({"channel": "sms"}, {"channel": ["sms", "mail"]}, False),
        ({"words__any": ["آب*"]}, {"words__any": ["آبفا"]}, True),
        ({"words__any": ["آب"]}, {"words__any": ["آب", "برق"]}, False),
        ({"words__all": ["آب"]}, {"words__all": ["آب", "قطع"]}, True),
        ({"words__all": ["آب", "قطع"]}, {"words__all": ["آب"]}, False),
        ({"words__none": ["آب"]}, {"words__none": ["آب", "برق"]}, True),
        ({"words__none": ["آب", "برق"]}, {"words__none": ["آب"]}, False),
        ({"sender": "+98*"}, {"sender": "+98912*"}, True),
    ],
)
def test_a_rule_out_of_reach(first, second, out_of_reach):
    assert routing.covers(rule("a", **first), rule("b", **second)) is out_of_reach
