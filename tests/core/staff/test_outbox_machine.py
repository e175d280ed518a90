"""The outbox under any order of sends, lost answers, crashes, late results and jumps of the clock: a story machine."""

from __future__ import annotations

import itertools

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core import events, ids, outbox, outcomes, schema
from core.channels import DeliveryState, Refused, Sent, TryLater, Unknown
from core.clock import HandClock
from core.model import Purpose
from core.sending import DEAD, LEASE, UNFINISHED, Stage

PEOPLE = 2


class Outside(RuleBasedStateMachine):
    """A provider that can be asked, workers that die, and a ledger of what people hold."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()
        self.engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
        self.s = self.engine.connect()
        positions = itertools.count(1)
        self.s.info.update(
            ids=ids.Maker(), clock=self.clock, chain_key=b"", pos=0,
            position=lambda s: next(positions), alone=lambda s, names: None
        )  # fmt: skip
        schema.metadata.create_all(self.s)
        for key in ("ids", "outbox_ids", "epoch"):
            self.s.execute(schema.meta.insert().values(key=key, value="1"))
        self.tickets = [self._ticket(n) for n in range(PEOPLE)]
        self.held: list[outbox.Claimed] = []  # claims in the hands of workers, dead ones too
        self.ledger: list[int] = []  # rows in the order people got them
        self.order: dict[int, tuple[int, int]] = {}
        self.seq = 1

    def _ticket(self, n: int) -> int:
        number, now = ids.new(self.s), self.clock.now()
        event = events.chained(b"", events.START, ids.new(self.s), number, 1, "taken", "citizen", now, {})
        self.s.execute(
            schema.ticket.insert().values(
                id=number, at=now, state="open", kind="request", unit="u", answer_by="sms", channel="sms",
                chain=event["hash"], last_at=now,
            )
        )  # fmt: skip
        self.s.execute(schema.code.insert().values(id=number, at=now, value=str(10_000_000_000 + n), ticket=number))
        return number

    def teardown(self) -> None:
        self.s.close()
        self.engine.dispose()

    @rule(person=st.integers(0, PEOPLE - 1))
    def put(self, person: int) -> None:
        self.seq += 1
        row = outbox.put(
            self.s, ticket=self.tickets[person], seq=self.seq, channel="sms", purpose=Purpose.ANSWER,
            now=self.clock.now(), text="پاسخ", not_after=self.clock.now() + 10**12,
        )  # fmt: skip
        self.order[row] = (person, self.seq)

    @rule(n=st.integers(2, 3))
    def claim(self, n: int) -> None:
        got = outbox.claim(self.s, "sms", n, self.clock.now(), "w")
        assert len({one.message.ticket for one in got}) == len(got), "two rows of one ticket at once"
        self.held += got

    def _reach(self, row: int) -> None:
        """What a provider does with our own number for the text: the second time it says that it has it."""
        if row not in self.ledger:
            self.ledger.append(row)

    @precondition(lambda self: self.held)
    @rule(
        data=st.data(), how=st.sampled_from(["sent", "dies after", "lost", "later", "dies", "refused", "hung", "park"])
    )
    def end(self, data: st.DataObject, how: str) -> None:
        one = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        known = one.id in self.ledger
        if one.message.in_doubt and known:
            outcome = Sent(f"r{one.id}", found=True)
        elif how in ("sent", "lost", "dies after"):
            assert not known or one.message.in_doubt or not self._is_mine(one), "sent again without a look"
            self._reach(one.id)
            outcome = Sent(f"r{one.id}") if how == "sent" else Unknown("lost", 1)
        else:
            outcome = {
                "later": TryLater("busy", 1), "refused": Refused("no"), "hung": Unknown("hung", 1),
                "park": Unknown("horizon", park=True),
            }.get(how)  # fmt: skip
        if how.startswith("dies") or outcome is None:
            return
        outcomes.record(self.s, [outcomes.Result(one.id, one.fence, outcome)], self.clock.now())

    def _is_mine(self, one: outbox.Claimed) -> bool:
        row = self._row(one.id)
        return row is not None and row["fence"] == one.fence

    def _row(self, number: int):
        return self.s.execute(sa.select(schema.outbox).where(schema.outbox.c.id == number)).mappings().first()

    @rule(seconds=st.sampled_from([70, LEASE + 1, 4000]))
    def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.held)
    @rule()
    def stop_cleanly(self) -> None:
        outbox.give_back(self.s, self.held, self.clock.now())
        self.held = []

    @precondition(lambda self: self.ledger)
    @rule(data=st.data(), state=st.sampled_from(list(DeliveryState)))
    def report(self, data: st.DataObject, state: DeliveryState) -> None:
        row = data.draw(st.sampled_from(self.ledger))
        outbox.reported(self.s, "sms", f"r{row}", state, "", self.clock.now())

    @rule(by_hand=st.booleans())
    def deal_with_the_dead(self, by_hand: bool) -> None:
        ask = sa.select(schema.outbox.c.id).where(schema.outbox.c.state.in_(DEAD)).limit(1)
        row = self.s.execute(ask).scalar()
        if row is not None and by_hand:
            outbox.by_hand(self.s, row, self.clock.now())

    @invariant()
    def nobody_holds_it_twice_and_nothing_is_lost(self) -> None:
        assert len(self.ledger) == len(set(self.ledger))
        rows = {row["id"]: row for row in self.s.execute(sa.select(schema.outbox)).mappings()}
        assert rows.keys() == self.order.keys()
        for row in rows.values():
            assert Stage(row["state"])
            if row["state"] in UNFINISHED:
                assert row["due_at"] <= self.clock.now() + 3600 * 1200 + LEASE * 1000

    @invariant()
    def one_at_a_time_and_in_order(self) -> None:
        for ticket in self.tickets:
            ask = sa.select(schema.outbox).where(schema.outbox.c.ticket == ticket).order_by(schema.outbox.c.seq)
            states = [row["state"] for row in self.s.execute(ask).mappings()]
            begun = [n for n, state in enumerate(states) if state in (Stage.SENDING, Stage.UNKNOWN)]
            assert len(begun) <= 1
            if begun:
                assert not {Stage.WAITING.value} & set(states[: begun[0]]), "overtook a row that waits"


Outside.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestOutside = pytest.mark.slow(Outside.TestCase)
