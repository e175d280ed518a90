"""Reading letters: Persian in every dress, fields as they come, and nothing that makes the reader fall."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.text import clean
from gateway.mail import charset, headers, html, marks, mime, quote, worker
from gateway.mail.worker import Job
from tests.gateway.mail.letters import NEW, SAMPLES, SHORT, SUBJECT, old_letters

OURS = ("لطفاً پاسخ خود را بالای این خط بنویسید", "Please write your reply above this line")


def read(raw: bytes) -> tuple[mime.Mail, str, str]:
    job = Job(raw, "cp1256", OURS)
    mail = worker.first(job)
    words = worker.second(mail, job)
    return mail, words.new or mail.new, words.quoted or mail.quoted


def same(text: str) -> str:
    return " ".join(clean(text).split())


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_a_persian_letter_is_read(sample):
    mail, new, _ = read(sample.raw)
    assert same(new) == same(sample.new)
    assert same(mail.subject) == same(sample.subject)
    assert mail.sender == "maryam@mailbox.example"
    assert tuple(f.name for f in mail.files if f.name) == sample.files


def test_quotes_are_folded_and_not_lost():
    mail, new, quoted = read(next(s for s in SAMPLES if s.name == "outlook reply").raw)
    assert "123-4567-8903" in quoted and "123-4567-8903" not in new and "123-4567-8903" in mail.text


def test_when_nothing_new_is_left_all_is_shown():
    split = quote.split("> تنها نقل قول\n> دیگر هیچ", "", marks.read())
    assert "تنها نقل قول" in split.new and not split.quoted


ASKED = "> آیا پل روستا تعمیر شد؟"


@pytest.mark.parametrize(
    "above,stays",
    [
        (ASKED, True),
        (f"> در ۳ آذر ۱۴۰۴، روابط عمومی <info@example.ir> نوشت:\n{ASKED}", False),
        (f"> از: روابط عمومی\n> تاریخ: دوشنبه\n> موضوع: پل\n{ASKED}", False),
        (f"در ۱۴۰۴/۹/۳، روابط عمومی نوشت:\n{ASKED}", False),
        (f"{ASKED}\n> کد پیگیری: 123-4567-8903", False),
        ("\n".join([ASKED] * 13), False),
    ],
)
def test_a_question_quoted_by_hand_stays_above_its_answer(above, stays):
    split = quote.split(f"{above}\n\nخیر", "", marks.read())
    assert split.new == (f"{ASKED}\n\nخیر" if stays else "خیر")
    assert quote.split(f"{above}\nخیر\n> ادامه\nبله", "", marks.read()).new == "خیر\nبله", (
        "point by point, it is folded"
    )


@pytest.mark.parametrize(
    "line",
    [
        "On Thu, 31 Mar 2016 at 11:16 روابط عمومی\n\n<\nmailto:info@example.ir\n> wrote:",
        "2025-11-24 10:15 GMT+03:30 روابط عمومی",
    ],
)
def test_an_attribution_in_pieces_or_without_its_verb_folds_what_is_below(line):
    split = quote.split(f"سپاس\n\n{line}\n\nپیام شما ثبت شد", "", marks.read())
    assert (split.new, split.how) == ("سپاس", "attribution")


def test_a_date_amid_the_text_folds_nothing():
    text = "گزارش خطا:\n2025-11-24 10:15 GMT+03:30 قطع شد\nلطفاً رسیدگی کنید"
    assert quote.split(text, "", marks.read()).new == text


@given(
    st.lists(
        st.sampled_from(
            [
                "> x",
                "<",
                "> wrote:",
                "On x",
                "سلام",
                "",
                "_" * 30,
                "From: a",
                "به: ب",
                "در x نوشت:",
                OURS[0],
                "wrote:",
                "--",
            ]
        )
    )
)
@settings(max_examples=200, deadline=None)
def test_no_line_is_lost_or_made_up_by_folding(lines):
    text = "\n".join(lines)
    split = quote.split(text, "", marks.read(), OURS)
    assert sorted(w for w in f"{split.new}\n{split.quoted}".split()) == sorted(text.split())


def test_a_forward_is_content():
    text = "لطفاً ببینید\n---------- Forwarded message ---------\nFrom: x@y.ir\nDate: d\nSubject: s\nTo: t\n\nمتن"
    assert "متن" in quote.split(text, "", marks.read()).new


@pytest.mark.parametrize("eight", ["سلام لطفا به این موضوع رسیدگی کنید با تشکر", "آب منطقه ما از دیروز قطع شده است"])
def test_undeclared_cp1256_is_known_from_eight_words(eight):
    found = charset.decode(old_letters(eight), None)
    assert (found.charset, clean(found.text)) == ("cp1256", eight)


@pytest.mark.parametrize(
    "text,name",
    [
        ("Café à la crème, déjà vu, naïve", "iso-8859-1"),
        ("Größe und Straße müssen überprüft werden", "cp1252"),
        ("Добрый день, прошу рассмотреть мою жалобу", "koi8-r"),
        ("السلام عليكم ورحمة الله وبركاته", "iso-8859-6"),
        ("سلام", "cp1256"),
        ("您好，请处理我的投诉", "gb18030"),
    ],
)
def test_a_right_declaration_always_stands(text, name):
    raw = text.replace("ی", "ي").encode(name)
    assert clean(charset.decode(raw, name).text) == clean(text)


@pytest.mark.parametrize(
    "name", ["", None, "x-unknown", "no-such-charset", "zlib", "hex", "idna", "rot13", "utf-16", "\0"]
)
def test_an_odd_declaration_never_raises(name):
    assert charset.decode(NEW.encode(), name).text
    assert charset.decode(b"\xff\xfe\x80", name).text


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "windows-1256", "utf-7", "iso-2022-jp", "gb2312", "x"]))
@settings(max_examples=150, deadline=None)
def test_decode_never_raises_and_gives_text_that_can_be_stored(raw, name):
    charset.decode(raw, name).text.encode()


@given(st.binary(max_size=400))
@settings(max_examples=150, deadline=None)
def test_a_field_read_has_no_line_break_and_no_nul(raw):
    text = headers.read(raw)
    assert not set(text) & set("\r\n\0") and text.encode() is not None


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_a_subject_written_is_read_back(text):
    try:
        raw = headers.write("Subject", text)
    except ValueError:
        assert set(text) & set("\r\n\0")
        return
    assert raw.isascii() and max(map(len, raw.split(b"\r\n"))) <= 998
    if headers.UNSAFE.search(text) is None:
        assert "".join(headers.read(raw.partition(b":")[2]).split()) == "".join(text.split())


def test_a_long_persian_subject_keeps_its_spaces():
    text = "گزارش خرابی جادهٔ روستای گلستان و درخواست رسیدگی فوری به وضعیت پل ارتباطی پس از سیلاب اخیر"
    assert headers.read(headers.write("Subject", text).partition(b": ")[2]) == text
    raw = headers.write_address("From", text[:60], "water@agency.example.ir")
    assert headers.addresses(raw.partition(b": ")[2]) == [headers.Address(text[:60].strip(), "water@agency.example.ir")]


@pytest.mark.parametrize(
    "raw,expected",
    [
        (b"Ali <ali@example.ir>, b@example.ir", [("Ali", "ali@example.ir"), ("", "b@example.ir")]),
        (b'"Reza, Ali" <ali@example.ir>', [("Reza, Ali", "ali@example.ir")]),
        (b"ali@example.ir (Ali)", [("Ali", "ali@example.ir")]),
        (b"=?utf-8?b?2LnZhNuM?=<ali@example.ir>", [("علی", "ali@example.ir")]),
        (b'"=?utf-8?b?2LnZhNuM?=" <ali@example.ir>', [("علی", "ali@example.ir")]),
        (b"<>", []),
        (b"no address", []),
        (b"(" * 50_000, []),
        (b"undisclosed-recipients:;", []),
    ],
)
def test_address_fields(raw, expected):
    assert [(a.name, a.value) for a in headers.addresses(raw)] == expected


@pytest.mark.parametrize(
    "name,expected",
    [
        ("../../etc/passwd", "passwd.pdf"),
        ("C:\\a\\نامه.doc", "نامه.doc"),
        ("a\u202egpj.exe", "agpj.exe"),
        ("con", "file-1-con.pdf"),
        ("", "file-1.pdf"),
        (". .", "file-1.pdf"),
        ("x\0\r\ny.txt", "xy.txt"),
    ],
)
def test_file_names_are_safe(name, expected):
    assert mime.file_name(name, "application/pdf", 1) == expected


def test_a_long_persian_name_keeps_its_end():
    name = mime.file_name("نقشه " * 100 + ".pdf", "application/pdf", 1)
    assert len(name.encode()) <= 150 and name.endswith(".pdf")


def test_the_words_of_html_without_its_machinery():
    source = (
        "<html><head><title>t</title><style>p{}</style></head><body><script>alert(1)</script>"
        "<p>سلام <b>مردم</b></p><img src='http://x/y.gif'><a href='http://example.ir'>پیوند</a></body></html>"
    )
    found = html.words(source)
    assert found.new == "سلام مردم\n\nپیوند" or found.new.split() == ["سلام", "مردم", "پیوند"]
    assert html.words("<b broken <<< سلام").new


BOMBS = {
    "quotes": b"From: " + b'"' * 40_000 + b"\r\n\r\nx",
    "parentheses": b"From: " + b"(" * 40_000 + b"\r\nTo: " + b":" * 40_000 + b"\r\n\r\nx",
    "many fields": b"X: y\r\n" * 20_000 + b"\r\nx",
    "deep": b"".join(f'Content-Type: multipart/mixed; boundary="b{i}"\r\n\r\n--b{i}\r\n'.encode() for i in range(1000)),
    "many parts": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 20_000,
    "words": b"Subject: " + b"=?utf-8?q?" * 5000 + b"\r\n\r\nx",
    "parameters": b"Content-Type: text/plain" + b"; a*0=b" * 5000 + b"\r\n\r\nx",
    "addresses": b"From: " + b"a@example.ir, " * 20_000 + b"\r\n\r\nx",
    "html": b"Content-Type: text/html\r\n\r\n" + b"<a " * 50_000,
    "flowed": b"Content-Type: text/plain; format=flowed\r\n\r\n" + b"x \r\n" * 100_000,
    "quote lines": b"\r\n" + "در x نوشت\r\n".encode() * 30_000,
    "nothing": b"",
    "only a break": b"\r\n\r\n",
    "nuls": b"\0" * 5000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_no_more_than_its_share(name):
    begun = time.process_time()
    read(BOMBS[name])
    assert time.process_time() - begun < 2.0


@given(st.binary(max_size=600))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_a_letter(raw):
    assert isinstance(mime.parse(raw), mime.Mail)


def test_no_public_letter_makes_the_reader_fall(test_data):
    files = [p for p in sorted((test_data / "mail").rglob("*")) if p.is_file() and p.suffix not in (".xml", ".md")]
    assert len(files) > 100
    unread = []
    for path in files:
        raw = path.read_bytes()
        mail, new, _ = read(raw)
        assert "unparsed" not in mail.defects, path
        body = mime.BLANK.split(raw, maxsplit=1)[-1].strip()
        if body and not (new or mail.text or mail.files or mail.html):
            unread.append(path.name)
    assert len(unread) <= len(files) // 50, unread


def test_what_a_person_would_keep_of_public_letters(test_data):
    folder = test_data / "mail" / "email_reply_trimmer"
    pairs = [(p, folder / "trimmed" / p.name) for p in sorted((folder / "emails").glob("*"))]
    pairs = [(a, b) for a, b in pairs if b.exists()]
    if not pairs:
        pytest.skip("no golden pairs in the test letters")
    lost = []
    for letter, kept in pairs:
        split = quote.split(letter.read_text("utf-8", "replace"), "", marks.read())
        wanted = [line for line in kept.read_text("utf-8", "replace").split("\n") if line.strip()]
        missing = [line for line in wanted if line.strip() and line not in split.new]
        if missing:
            lost.append((letter.name, missing[:2]))
    assert len(lost) <= len(pairs) // 10, lost


def test_a_nul_in_a_charset_is_no_reason_to_give_up():
    raw = 'Content-Type: text/plain; charset="u\0tf-8"\r\n\r\nسلام به همه'.encode()
    mail = mime.parse(raw)
    assert mail.text == "سلام به همه" and "unparsed" not in mail.defects


def test_a_text_past_64_kib_is_kept_whole_as_a_file():
    text = SHORT + "\n" + "الف" * 40_000
    mail = mime.parse(b"From: a@example.ir\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + text.encode())
    assert len(mail.text) == 65_536 and mail.files[-1].data.decode() == text and "long_text" in mail.defects


def test_a_letter_in_a_letter_stays_a_letter():
    inner = f"From: x@example.ir\r\nSubject: {SUBJECT}\r\n\r\nدرون".encode()
    outer = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nout\r\n--b\r\n"
    mail = mime.parse(outer + b"Content-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n")
    assert mail.text.strip() == "out" and mail.files[0].name.endswith(".eml") and "درون".encode() in mail.files[0].data
