"""A menu as a picture: SVG made from the data, one box a node, right to left where the language runs so. Pure.

Each box lists its ways on. The first way that reaches a node is a line; every other one names its target, so that no
line crosses another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from core.text import persian
from ivr.tree import Node, Tree

WIDTH, GAP, ROW, PAD = 250, 70, 20, 10  # px: box, between columns, a line of text, inside a box
BETWEEN, MARGIN = 18, 24  # px between boxes of a column; around the picture
LETTERS, LINES = 38, 3  # of a sentence: letters a line, lines
HEAD = 26  # px of a box's coloured head
RTL = frozenset({"fa", "ar", "ckb", "ps", "ur"})
COLOURS: Mapping[str, str] = {
    "say": "#4f5b58", "choose": "#0b5d5e", "digits": "#0b5d5e", "language": "#4f5b58", "when": "#7a4b00",
    "record": "#a3211b", "prompt": "#a3211b", "look": "#0a5a8a", "take": "#1e6b34", "text": "#1e6b34",
    "queue": "#5b3a8c", "connect": "#5b3a8c", "hangup": "#16211f",
}  # fmt: skip
Words = Callable[[str], str]  # text key → sentence, in the picture's language


@dataclass(slots=True)
class _Box:
    node: Node
    ways: list[tuple[str, str]]  #: label and target, in the order they are shown
    said: list[str]
    depth: int = 0
    top: float = 0.0
    children: list[tuple[int, _Box]] = field(default_factory=list)  #: number of the way, and whom it reaches first

    @property
    def height(self) -> float:
        return HEAD + PAD + ROW * (len(self.said) + len(self.ways)) + PAD

    def line(self, way: int) -> float:
        """Middle of the row of a way, from the top of the picture."""
        return self.top + HEAD + PAD + ROW * (len(self.said) + way) + ROW / 2


def draw(tree: Tree, say: Words, lang: str, faulty: frozenset[str] = frozenset()) -> str:
    """The picture of a tree as a whole SVG document. `faulty`: names of nodes to mark."""
    root = _grow(tree, say, lang)
    boxes = list(_all(root))
    height = _place(root, MARGIN) + MARGIN
    columns = 1 + max(box.depth for box in boxes)
    width = 2 * MARGIN + columns * WIDTH + (columns - 1) * GAP
    right = lang in RTL
    across = _Across(width, right)
    parts = [part for box in boxes for part in _lines(box, across)]
    parts += [part for box in boxes for part in _shown(box, across, say, box.node.name in faulty)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height:.0f}" '
        f'viewBox="0 0 {width} {height:.0f}" role="img" aria-label={quoteattr(tree.name)} '
        f'font-family="Vazirmatn, Tahoma, sans-serif" font-size="13" direction="{"rtl" if right else "ltr"}">'
        f'<rect width="100%" height="100%" fill="#fbfaf6"/>{"".join(parts)}</svg>'
    )


@dataclass(frozen=True, slots=True)
class _Across:
    """Where things stand from left to right."""

    width: float
    right: bool  #: the first column stands at the right

    def left(self, depth: int) -> float:
        x = MARGIN + depth * (WIDTH + GAP)
        return self.width - x - WIDTH if self.right else x

    def start(self, depth: int) -> float:
        """Where a line of text begins."""
        return self.left(depth) + (WIDTH - PAD if self.right else PAD)

    def out(self, depth: int) -> float:
        """The side that the next column is at."""
        return self.left(depth) + (0 if self.right else WIDTH)

    def into(self, depth: int) -> float:
        return self.left(depth) + (WIDTH if self.right else 0)


# ---------------------------------------------------------------- what is where


def _grow(tree: Tree, say: Words, lang: str) -> _Box:
    """Boxes as a tree: breadth first, so that everything hangs where it is reached soonest."""
    root = _box(tree.nodes[tree.start], say, lang)
    seen, todo = {tree.start}, [root]
    while todo:
        box = todo.pop(0)
        for number, (_, to) in enumerate(box.ways):
            if to not in seen:
                seen.add(to)
                child = _box(tree.nodes[to], say, lang)
                child.depth = box.depth + 1
                box.children.append((number, child))
                todo.append(child)
    _short_first(root)
    return root


def _short_first(box: _Box) -> float:
    """Where a node only branches, the shorter branch stands first, so that no line runs past all of the longer one.

    Returns the height of the whole branch.
    """
    heights = {child.node.name: _short_first(child) for _, child in box.children}
    if not box.node.keys:
        _reorder(box, sorted(box.children, key=lambda way: heights[way[1].node.name]))
    return max(box.height + BETWEEN, sum(heights.values()))


def _reorder(box: _Box, children: list[tuple[int, _Box]]) -> None:
    """Put the ways that lines leave by into the order of `children`, the others behind them."""
    drawn = [number for number, _ in children]
    others = [number for number in range(len(box.ways)) if number not in drawn]
    box.ways = [box.ways[number] for number in (*drawn, *others)]
    box.children = [(number, child) for number, (_, child) in enumerate(children)]


def _box(node: Node, say: Words, lang: str) -> _Box:
    shown = persian if lang == "fa" else str
    ways = [(shown(key), to) for key, to in node.keys.items()]
    ways += [(say(f"ivr.draw.way.{way}"), to) for way, to in node.exits.items()]
    return _Box(node, ways, wrapped(say(node.say)) if node.say else [])


def _place(box: _Box, top: float) -> float:
    """Give every box below `box` its height in the picture; returns where the next one may begin."""
    at = top
    for _, child in box.children:
        at = _place(child, at)
    first = box.children[0][1].top if box.children else top
    box.top = max(top, min(first, (first + at - BETWEEN - box.height) / 2)) if box.children else top
    return max(at, box.top + box.height + BETWEEN)


def _all(box: _Box) -> Iterator[_Box]:
    yield box
    for _, child in box.children:
        yield from _all(child)


def wrapped(sentence: str) -> list[str]:
    """A sentence in lines of about `LETTERS`, at most `LINES` of them, then an ellipsis."""
    lines: list[str] = [""]
    for word in sentence.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > LETTERS:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines if len(lines) <= LINES else [*lines[: LINES - 1], lines[LINES - 1] + " …"]


# ---------------------------------------------------------------- what is drawn


def _lines(box: _Box, across: _Across) -> Iterator[str]:
    for way, child in box.children:
        x, y, to, end = across.out(box.depth), box.line(way), across.into(child.depth), child.top + HEAD / 2
        bend = (x + to) / 2
        yield f'<path d="M{x:.0f} {y:.0f}C{bend:.0f} {y:.0f} {bend:.0f} {end:.0f} {to:.0f} {end:.0f}" '
        yield 'fill="none" stroke="#7c8784" stroke-width="1.5"/>'


def _shown(box: _Box, across: _Across, say: Words, faulty: bool) -> Iterator[str]:
    node, x = box.node, across.left(box.depth)
    border = 'stroke="#a3211b" stroke-width="3"' if faulty else 'stroke="#dcd9cf"'
    colour = COLOURS.get(node.do, "#4f5b58")
    yield f'<g id="node-{escape(node.name)}"><title>{escape(_title(node, say))}</title>'
    yield f'<rect x="{x:.0f}" y="{box.top:.0f}" width="{WIDTH}" height="{box.height:.0f}" rx="6" fill="#fff" {border}/>'
    yield f'<path d="{_roof(x, box.top)}" fill="{colour}"/>'
    start = across.start(box.depth)
    yield _text(start, box.top + HEAD - 8, say(f"ivr.draw.do.{node.do}"), '#fff" font-weight="700')
    asked = [str(node.own[key]) for key in ("is", "what", "check", "kind", "act", "lang") if key in node.own]
    yield _name(across, box, " · ".join((node.name, *asked)))
    for number, line in enumerate(box.said):
        yield _text(start, box.top + HEAD + PAD + ROW * number + 14, line, "#4f5b58")
    reached = {number for number, _ in box.children}
    for number, (label, to) in enumerate(box.ways):
        arrow = "" if number in reached else f"  {'←' if across.right else '→'} {to}"
        yield _text(start, box.line(number) + 5, f"{label}{arrow}", "#16211f")
    yield "</g>"


def _title(node: Node, say: Words) -> str:
    return f"{node.name}: {say(node.say)}" if node.say else node.name


def _name(across: _Across, box: _Box, name: str) -> str:
    """The node's name at the far end of the head, as it is written in the file."""
    x = across.left(box.depth) + (PAD if across.right else WIDTH - PAD)
    anchor = "start" if across.right else "end"
    return (
        f'<text x="{x:.0f}" y="{box.top + HEAD - 8:.0f}" fill="#fff" direction="ltr" text-anchor="{anchor}" '
        f'font-size="12">{escape(name)}</text>'
    )


def _text(x: float, y: float, words: str, fill: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" fill="{fill}">{escape(words)}</text>'


def _roof(x: float, y: float) -> str:
    """A box's head with round upper corners."""
    return f"M{x:.0f} {y + HEAD:.0f}v-{HEAD - 6}q0 -6 6 -6h{WIDTH - 12}q6 0 6 6v{HEAD - 6}z"
