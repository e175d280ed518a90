"""The table of keywords over real protocols: each row that is built, by Kavenegar's call-backs and by SMPP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core import codes
from tests.journeys.running import Demo, Operator, code_in, pin_in, until

pytestmark = pytest.mark.slow
WAYS = ("kavenegar", "smpp")
NUMBERS = iter(range(400))
ANSWER = "رسیدگی شد و کار انجام گرفت."


class Citizen:
    """A mobile of its own that writes to one of the short codes."""

    def __init__(self, demo: Demo, way: str) -> None:
        self._demo, self._to = demo, demo.smpp_code if way == "smpp" else None
        self.number = f"09120500{next(NUMBERS):03}"
        self._read = 0

    def hears(self, words: str, seconds: float = 30) -> str:
        """The next text that comes, which must have these words; it came by the short code that was written to."""
        found = until(lambda: self._demo.texts(self.number)[self._read :], seconds)[0]
        self._read += 1
        assert words in found["text"], (words, found["text"])
        assert self._to in (None, found["from"])
        return str(found["text"])

    def says(self, text: str, answer: str) -> str:
        self._demo.text(self.number, text, self._to)
        return self.hears(answer)

    def complains(self, about: str = "چراغ") -> tuple[str, str]:
        """Code and PIN of a new ticket."""
        told = self.says(f"{about} کوچهٔ نمونه شکسته است", "کد پیگیری")
        return code_in(told), pin_in(told)


@pytest.fixture(params=WAYS)
def citizen(request: pytest.FixtureRequest, demo: Demo) -> Callable[[], Citizen]:
    """Makes citizens who write by one of the ways."""
    return lambda: Citizen(demo, request.param)


@pytest.fixture(scope="module")
def manager(demo: Demo) -> Operator:
    return Operator(demo, "manager")


def answered(manager: Operator, *citizens: Citizen) -> list[tuple[str, str]]:
    """A ticket of each whose answer has arrived; all at once, since an answer can be taken back for ten seconds."""
    asked = [one.complains() for one in citizens]
    for code, _ in asked:
        manager.reply(manager.ticket(code), ANSWER)
    for one in citizens:
        one.hears(ANSWER, 40)
    return asked


def wrong(code: str) -> str:
    """The same with another last digit: the check fails."""
    found = code[:-1] + str((int(code[-1]) + 1) % 10)
    assert not codes.ok(found)
    return found


def test_words_alone(citizen):
    """Rows 1 to 5, 8, 18, and the rows of features that are not built."""
    one = citizen()
    one.says("🙂🙂", "پیام خود را بنویسید")
    one.says("«لغو ۱۱»", "قطع شد")
    one.says("وصل", "وصل شد")
    citizen().says("راهنما", "پیام خود را بنویسید")
    citizen().says("محرمانه: کارمندی رشوه می‌خواهد", "پیامک محرمانه نیست")
    citizen().says("پیگیری", "پیام بازی از این شماره نداریم")
    citizen().says("۱۲۳", "پرسشی باز نیست")
    for later in ("م ۱۲ این ماده روشن نیست", "نظر آب ۵", "موافق"):
        citizen().says(later, "پیام خود را بنویسید")


def test_codes_are_looked_up_and_added_to(citizen):
    """Rows 19, 6, 7, 8 and 10."""
    one, stranger = citizen(), citizen()
    code, _ = one.complains()
    assert code_in(one.says(codes.show(code), "وضعیت")) == code
    assert code_in(stranger.says(f"کد {code}", "وضعیت")) == code
    one.says(wrong(code), "یک رقم کد درست نیست")
    assert code_in(one.says("وضعیت", "پیام‌های باز شما")) == code
    one.says(f"{code} هنوز هم خاموش است", "افزوده شد")
    stranger.says(f"برای {code} چه کرده‌اید؟ من هم همین را دارم", "کد پیگیری")


def test_the_verdict_on_an_answer(citizen, manager):
    """Rows 6, 11 and 12: the answer again by its code; ۲, and then why; ۱ from another is accepted."""
    one, other = citizen(), citizen()
    (code, _), _ = answered(manager, one, other)
    assert ANSWER in one.says(code, "وضعیت")
    one.says("۲", "دلیل را در یک پیامک بنویسید")
    one.says("لامپ فردای آن روز دوباره سوخت", "اعتراض شما ثبت شد")
    other.says("بله", "پذیرش پاسخ ثبت شد")


def test_the_verdict_from_another_telephone_needs_the_pin(citizen, manager):
    """Row 9."""
    [(code, pin)] = answered(manager, citizen())
    other = citizen()
    other.says(f"{code} ۳۱", "رمز ۴ رقمی")
    other.says(f"{code} {pin} اعتراض کار نیمه‌تمام است", "اعتراض شما ثبت شد")


def test_several_answers_are_accepted_one_after_the_other(citizen, manager):
    """Row 15: ۳۱ without a code; once nothing is left to accept, that is told."""
    one = citizen()
    for code, _ in [one.complains(about) for about in ("چراغ", "نیمکت")]:
        manager.reply(manager.ticket(code), ANSWER)
    for _ in range(2):
        one.hears(ANSWER, 40)
    accepted = {code_in(one.says(word, "پذیرش پاسخ ثبت شد")) for word in ("۱", "۳۱")}
    assert len(accepted) == 2
    one.says("موافقم", "پرسشی باز نیست")  # ۳۱ again would be the same text come twice: over SMPP none has an id
