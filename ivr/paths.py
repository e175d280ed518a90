"""A tree as a whole: what is reached, what turns in circles, how long a caller listens. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping

from ivr.tree import Node, Tree

LATIN, PERSIAN = 13.0, 9.5  # letters the speech voice says in a second; Persian writes few of its vowels
REST = 0.35  # seconds of a full stop or comma
CHOICES_LONGEST = 30.0  # seconds of one choice; a listener has forgotten its beginning then
PATH_LONGEST = 180.0  # seconds to listen from the start to any place

Lengths = Callable[[str, str], float]  # text key and language → seconds
Way = tuple[float, tuple[str, ...]]  # seconds, names of nodes


def estimate(sentence: str) -> float:
    """Seconds a sentence takes to hear, from its letters; marks of vowels do not count."""
    letters = [letter for letter in sentence if letter.isalnum()]
    latin = sum(letter.isascii() for letter in letters)
    rests = sum(letter in ".؟?،,؛" for letter in sentence)
    return latin / LATIN + (len(letters) - latin) / PERSIAN + rests * REST


def reached(start: str, nodes: Mapping[str, Node]) -> set[str]:
    """Names of the nodes that some way leads to."""
    seen: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += onward(nodes[name])
    return seen


def onward(node: Node) -> list[str]:
    """Where a node may lead."""
    return [*node.exits.values(), *node.keys.values()]


def circles(nodes: Mapping[str, Node]) -> list[str]:
    """Nodes on a circle that needs no key: then a silent caller, or no caller at all, would walk for ever."""
    quiet = {
        name: {to for way, to in node.exits.items() if (node.do, way) != ("digits", "ok")}
        for name, node in nodes.items()
    }
    while ends := [name for name, to in quiet.items() if not to & quiet.keys()]:
        for name in ends:
            del quiet[name]
    return [name for name in quiet if _returns(name, quiet)]


def longest(tree: Tree, lang: str, lengths: Lengths) -> Way:
    """The place that is farthest for a caller who hears every sentence out and takes the shortest way to it."""
    ways = dict(_ways(tree, lang, lengths))
    return max(ways.values(), key=lambda way: way[0])


def _ways(tree: Tree, lang: str, lengths: Lengths) -> Iterator[tuple[str, Way]]:
    """The shortest way by the ear to every node, its own sentence included."""
    heap: list[Way] = [(_heard(tree.nodes[tree.start], lang, lengths), (tree.start,))]
    done: set[str] = set()
    while heap:
        seconds, way = heapq.heappop(heap)
        if way[-1] in done:
            continue
        done.add(way[-1])
        yield way[-1], (seconds, way)
        for to in onward(tree.nodes[way[-1]]):
            if to not in done:
                heapq.heappush(heap, (seconds + _heard(tree.nodes[to], lang, lengths), (*way, to)))


def _heard(node: Node, lang: str, lengths: Lengths) -> float:
    return lengths(node.say, lang) if node.say else 0.0


def _returns(name: str, graph: Mapping[str, set[str]]) -> bool:
    seen: set[str] = set()
    todo = list(graph[name] & graph.keys())
    while todo:
        here = todo.pop()
        if here == name:
            return True
        if here not in seen:
            seen.add(here)
            todo += graph[here] & graph.keys()
    return False
