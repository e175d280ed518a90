"""The picture of a menu: every node and every way is in it, and it is well-formed."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from ivr import draw
from tests.ivr.site import menus, texts

SVG = "{http://www.w3.org/2000/svg}"


def picture(name: str, lang: str, **more) -> ElementTree.Element:
    return ElementTree.fromstring(draw.draw(menus().trees[name], lambda key: texts()(key, lang), lang, **more))


@pytest.mark.parametrize("lang", ["fa", "en"])
@pytest.mark.parametrize("name", ["main", "staff"])
def test_every_node_is_a_box_and_every_way_a_line_or_a_name(name, lang):
    root = picture(name, lang)
    tree = menus().trees[name]
    boxes = {group.get("id").removeprefix("node-"): group for group in root.iter(f"{SVG}g")}
    assert boxes.keys() == tree.nodes.keys()
    lines = len([path for path in root.iter(f"{SVG}path") if path.get("stroke")])
    named = 0
    for node in tree.nodes.values():
        said = ["".join(text.itertext()) for text in boxes[node.name].iter(f"{SVG}text")]
        named += sum("→" in one or "←" in one for one in said)
    ways = sum(len(node.keys) + len(node.exits) for node in tree.nodes.values())
    assert lines == len(tree.nodes) - 1
    assert lines + named == ways


def test_boxes_of_a_column_do_not_cover_each_other():
    rects = [group.find(f"{SVG}rect") for group in picture("main", "fa").iter(f"{SVG}g")]
    columns: dict[str, list[tuple[float, float]]] = {}
    for rect in rects:
        columns.setdefault(rect.get("x"), []).append((float(rect.get("y")), float(rect.get("height"))))
    for boxes in columns.values():
        boxes.sort()
        assert all(top + height <= below for (top, height), (below, _) in pairwise(boxes))


def test_persian_runs_from_right_to_left():
    persian, english = picture("main", "fa"), picture("main", "en")

    def first(root):
        return float(next(g for g in root.iter(f"{SVG}g") if g.get("id") == "node-welcome").find(f"{SVG}rect").get("x"))

    assert (persian.get("direction"), english.get("direction")) == ("rtl", "ltr")
    assert first(persian) > 1000 > first(english)


def test_a_faulty_node_is_marked():
    root = picture("main", "fa", faulty=frozenset({"code"}))
    [red] = [g.get("id") for g in root.iter(f"{SVG}g") if g.find(f"{SVG}rect").get("stroke-width") == "3"]
    assert red == "node-code"
