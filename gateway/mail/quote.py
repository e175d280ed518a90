"""What of a letter is new and what is quoted; folded away, never deleted. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.mail.marks import Marks, plain

SIGNATURE = 12  # lines below `-- ` that may be a signature; more is a letter
BY_HAND = 12  # lines at the top that may have been quoted of choice; more is a letter quoted by a program
CODE = re.compile(r"\d(?:[ -]?\d){10}")
SEPARATOR = re.compile(r"(--|—|__)$")
RULE = re.compile(r"(([-=_*#~])\2+|ᐧ)$")
LABEL = re.compile(r"^[*_]*([^:*]{1,20}?)[*_]*\s*:")


@dataclass(frozen=True, slots=True)
class Split:
    """`how` names the mark that decided; `sure` is False when all was shown because nothing new was left."""

    new: str
    quoted: str
    how: str
    sure: bool


def forwarded(subject: str, marks: Marks) -> bool:
    """Does the subject say that the letter hands another one on?"""
    return plain(subject).lower().startswith(marks.forwards)


def split(text: str, html_quoted: str, marks: Marks, ours: tuple[str, ...] = (), whole: bool = False) -> Split:
    """Cut `text` at quotes; text below or between `>` quotes stays, a forward is content.

    `ours` are our own first lines («write above this line») in any language. `html_quoted` was told apart already.
    `whole`: the letter hands another one on, so nothing is cut.
    """
    if whole:
        return Split("\n".join(one for one in (text.strip(), html_quoted) if one), "", "forward", True)
    lines = text.split("\n")
    bare = [plain(line) for line in lines]
    at, how = _cut(bare, marks, ours)
    kept, folded = _without_marked(lines[:at], bare[:at], marks)
    kept, below = _without_signature(kept, marks)
    quoted = "\n".join([*folded, *below, *lines[at:]])
    if folded and not how:
        how = "marked"
    new = "\n".join(kept).strip()
    if not new:
        return Split(text.strip(), html_quoted, how, not (how or html_quoted) or not text.strip())
    both = "\n".join(piece for piece in (quoted.strip("\n"), html_quoted) if piece)
    return Split(new, both, how or ("html" if html_quoted else ""), True)


def _cut(bare: list[str], marks: Marks, ours: tuple[str, ...]) -> tuple[int, str]:
    """Where all that follows is quoted; len(bare) when nothing is."""
    own = tuple(plain(line) for line in ours if line)
    answered: list[bool] | None = None
    for at, line in enumerate(bare):
        if not line:
            continue
        if any(word and word in line for word in own):
            return _attribution_above(bare, at, marks), "ours"
        if marks.forwarded.search(line):
            return len(bare), ""
        if marks.original.search(line):
            if _is_rule(line) and _labels(bare, at + 1, marks) < 3:
                continue
            return at, "original"
        if _labels(bare, at, marks) >= 3:
            return at, "fields"
        if _alone(bare, at, marks):
            return at, "attribution"
        if _attribution(bare, at, marks):
            answered = answered or _answered(bare, marks)
            if not answered[at]:
                return at, "attribution"
    return len(bare), ""


def _is_rule(line: str) -> bool:
    return set(line) <= {"_", "-"}


def _labels(bare: list[str], at: int, marks: Marks) -> int:
    """How many of the lines from `at` on are header labels, all together."""
    if at >= len(bare) or ":" not in bare[at]:
        return 0
    count = 0
    for line in bare[at : at + 8]:
        found = LABEL.match(line)
        if found is None or found[1].strip().lower() not in marks.fields:
            if line and count:
                break
            continue
        count += 1
    first = LABEL.match(bare[at])
    return count if first and first[1].strip().lower() in marks.fields else 0


def _attribution(bare: list[str], at: int, marks: Marks) -> int:
    """How many lines «در … نوشت:» takes from here on, at most three, or more when its address lies in pieces; 0 when it
    is none."""
    pieces = _in_pieces(bare, at)
    if pieces:
        return pieces if marks.attribution.match(" ".join(filter(None, bare[at : at + pieces]))) else 0
    if not any(line.endswith(":") for line in bare[at : at + 3]) and not _quote_follows(bare, at):
        return 0
    joined = ""
    for count, line in enumerate(bare[at : at + 3], 1):
        if not line or line.startswith(">"):
            return 0
        joined = f"{joined} {line}".strip()
        if marks.attribution.match(joined):
            return count if joined.endswith(":") or _quote_follows(bare, at) else 0
    return 0


def _in_pieces(bare: list[str], at: int) -> int:
    """How many lines it is to the `> wrote:` of an address of which each bracket begins a line; 0 when none is."""
    if "<" not in bare[at + 1 : at + 3]:
        return 0
    near = bare[at + 1 : at + 6]
    return next((n for n, line in enumerate(near, 2) if line.startswith(">") and line.endswith(":")), 0)


def _alone(bare: list[str], at: int, marks: Marks) -> bool:
    """Is it a line between empty ones that says when and who, and no more?"""
    around = bare[max(0, at - 1) : at] + bare[at + 1 : at + 2]
    return not any(around) and len(around) == 2 and marks.alone.match(bare[at]) is not None


def _quote_follows(bare: list[str], at: int) -> bool:
    return any(line.startswith(">") for line in bare[at + 1 : at + 5])


def _answered(bare: list[str], marks: Marks) -> list[bool]:
    """For each line: are there unmarked lines below `>` lines that come after it? Then only the marked are folded."""
    said = _attributions(bare, marks)
    found = [False] * len(bare)
    below = answered = False
    for at in range(len(bare) - 1, -1, -1):
        found[at] = answered
        if said[at] or not bare[at] or bare[at] == "--":
            continue
        if bare[at].startswith(">"):
            answered = answered or below
        else:
            below = True
    return found


def _attributions(bare: list[str], marks: Marks) -> list[bool]:
    """Which lines only say who wrote what follows."""
    found = [False] * len(bare)
    at = 0
    while at < len(bare):
        told = 0 if bare[at].startswith(">") else _attribution(bare, at, marks)
        found[at : at + told] = [True] * told
        at += told or 1
    return found


def _attribution_above(bare: list[str], at: int, marks: Marks) -> int:
    for back in range(max(0, at - 5), at):
        if _attribution(bare, back, marks):
            return back
    return at


def _without_signature(kept: list[str], marks: Marks) -> tuple[list[str], list[str]]:
    """What programs and telephones add at the end: a short signature below `-- `, "sent from my …", bare rules."""
    folded = [line for line in kept[1:] if marks.signature.match(plain(line))]
    kept = kept[:1] + [line for line in kept[1:] if not marks.signature.match(plain(line))]
    for at in range(len(kept) - 1, 0, -1):
        if SEPARATOR.match(plain(kept[at])) and sum(bool(line.strip()) for line in kept[at:]) <= SIGNATURE + 1:
            kept, folded = kept[:at], [*kept[at:], *folded]
            break
    while len(kept) > 1 and (not kept[-1].strip() or RULE.match(plain(kept[-1]))):
        folded.insert(0, kept.pop())
    return (kept, folded) if any(line.strip() for line in kept) else ([*kept, *folded], [])


def _without_marked(lines: list[str], bare: list[str], marks: Marks) -> tuple[list[str], list[str]]:
    at = _by_hand(bare, marks)
    kept, folded = lines[:at], list[str]()
    while at < len(lines):
        told = 1 if bare[at].startswith(">") else _attribution(bare, at, marks)
        if told and (bare[at].startswith(">") or _quote_follows(bare, at + told - 1)):
            folded += lines[at : at + told]
        else:
            told = 1
            kept.append(lines[at])
        at += told
    return kept, folded


def _by_hand(bare: list[str], marks: Marks) -> int:
    """How many lines at the top somebody quoted of choice: few, with no word of a program, an empty line, the answer.

    They stay: «خیر» alone says nothing without its question. But not where they hold what may be a tracking code:
    then they are words of ours, and the code must not pass for the writer's.
    """
    end = next((at for at, line in enumerate(bare) if not line.startswith(">")), len(bare))
    inside = [line.lstrip("> ") for line in bare[:end]]
    below = bare[end:]
    if not 0 < end <= BY_HAND or not any(below) or below[0] or any(line.startswith(">") for line in below):
        return 0
    by_program = any(_attribution(inside, at, marks) or _labels(inside, at, marks) >= 3 for at in range(end))
    return 0 if by_program or CODE.search("\n".join(inside)) else end
