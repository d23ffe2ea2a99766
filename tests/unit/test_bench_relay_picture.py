"""The picture of the relay's figures: well-formed, in proportion, for both kinds of screen."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bench.relay_figures import summary
from bench.relay_picture import Bar, Panel, draw, panels

SVG = "{http://www.w3.org/2000/svg}"

PANEL = Panel("Requests & more", "per second", [Bar("direct", 40.0, "40"), Bar("wakeport", 30.0, "30")])


def test_bars_are_in_proportion_and_ours_stands_out() -> None:
    picture = ET.fromstring(draw([PANEL]))
    bars = {bar.get("class"): float(bar.get("width", "")) for bar in picture.iter(f"{SVG}rect")}
    assert bars["ours"] / bars["bar"] == 0.75
    texts = [text.text for text in picture.iter(f"{SVG}text")]
    assert texts == ["Requests & more", "per second", "direct", "40", "wakeport", "30"]


def test_it_is_told_in_words_to_those_who_do_not_see_it() -> None:
    picture = ET.fromstring(draw([PANEL]))
    assert picture.get("role") == "img"
    assert picture.findtext(f"{SVG}desc") == "Requests & more: direct 40, wakeport 30 (per second)"


def test_it_has_colours_for_a_dark_screen_and_asks_nobody_for_help() -> None:
    drawn = draw([PANEL])
    assert "@media (prefers-color-scheme: dark)" in drawn
    assert "href" not in drawn
    assert "url(" not in drawn


def test_no_two_panels_share_a_place() -> None:
    picture = ET.fromstring(draw([PANEL] * 5))
    titles = [text for text in picture.iter(f"{SVG}text") if text.get("class") == "title"]
    assert len({(title.get("x"), title.get("y")) for title in titles}) == 5
    assert max(float(title.get("y", "")) for title in titles) < float(picture.get("height", ""))


def test_what_was_not_measured_has_no_panel_and_no_bar() -> None:
    bulk = {"bulk": summary({"direct": [{"rate": float(1 << 30), "cpu": 0.0}]}, [])}
    idle = {"docker-proxy": [{"connections": 8000, "held": 3332, "rss": None}]}
    rate, spent, memory = panels(bulk, idle)
    assert rate.bars == [Bar("direct", 1.0, "1.00")]
    assert spent.bars == [Bar("direct", None, "-")]
    assert memory.title == "Memory with 8,000 idle connections"
    assert memory.bars == [Bar("docker-proxy", None, "ended at 3,332")]
    draw([rate, spent, memory])
