"""Tests for `flip.simulation.picture`."""

from __future__ import annotations

import copy
from typing import Any
from xml.etree import ElementTree as ET

from hamcrest import assert_that, contains_string, equal_to, greater_than, less_than, starts_with
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.picture import draw, page
from flip.simulation.picture.palette import TROUBLE, colour, on
from flip.simulation.picture.svg import Canvas
from flip.simulation.rehearsal import Rehearsal, rehearse
from flip.simulation.report.answering import answer
from flip.simulation.report.recording import FaultMark, Life, Recording
from flip.simulation.report.timeline import timeline
from flip.simulation.schedules import Schedule
from flip.simulation.world import World
from tests.cluster.case import ONE, STORY, TWO, larger
from tests.matchers import has_item, has_items, is_not

SVG = "{http://www.w3.org/2000/svg}"


def run(*faults: str, config: Any = STORY, duration: float = 60) -> Rehearsal:
    return rehearse(Schedule(config, 1, duration, faults))


def drawn(rehearsal: Rehearsal) -> ET.Element:
    return ET.fromstring(draw(rehearsal.recording, rehearsal.answers))


def texts(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}text")]


def hovers(picture: ET.Element) -> list[str]:
    return [element.text or "" for element in picture.iter(f"{SVG}title")]


def filled(picture: ET.Element, fill: str) -> list[ET.Element]:
    """The rectangles of the plot with this fill; those of the legend are small."""
    return [
        rect
        for rect in picture.iter(f"{SVG}rect")
        if rect.get("fill") == fill and float(rect.get("width", "0")) != 16
    ]


class PictureTests(SynchronousTestCase):
    """What is in the picture of a small cluster."""

    def test_calm(self) -> None:
        """Without faults: a lane per node, a row per data point, an axis, a legend, no trouble."""
        picture = drawn(run())
        wanted = "no faults", "flip", "flip1", "flip2", ONE, TWO, "60 s", "node runs"
        assert_that(texts(picture), has_items(*wanted))
        assert_that(filled(picture, TROUBLE), equal_to([]))

    def test_narrow_gap(self) -> None:
        """How long nobody owned it is said even where that is a hair wide, left of it."""
        picture = drawn(run("kill flip1@100", duration=180))
        (gap,) = [text for text in picture.iter(f"{SVG}text") if "no owner" in (text.text or "")]
        (bar,) = [rect for rect in filled(picture, TROUBLE) if float(rect.get("height", "0")) > 10]
        assert_that(gap.get("text-anchor"), equal_to("end"))
        assert_that(float(gap.get("x", "0")), less_than(float(bar.get("x", "0"))))
        # Right behind the start there is no room.
        assert_that(
            texts(drawn(run("kill flip1@4", duration=180))), is_not(has_item("no owner 2.3 s"))
        )
        assert_that(filled(picture, "url(#double)"), equal_to([]))

    def test_kill(self) -> None:
        """A kill is marked; its node is down for the others; its data had no owner."""
        picture = drawn(run("kill flip1@20", "restart flip1@40"))
        assert_that(texts(picture), has_items("kill flip1", "restart flip1", "not running"))
        assert_that(texts(picture)[0], equal_to("kill flip1@20, restart flip1@40"))
        assert_that(hovers(picture), has_item(starts_with(f"{TWO}: no live owner, 20.00 s to 2")))
        assert_that(hovers(picture), has_item(starts_with("flip1 is down at all others, 2")))
        assert_that(hovers(picture), has_item(starts_with(f"{TWO}: left over, 2")))

    def test_to_scale(self) -> None:
        """A time is as wide as the axis says."""
        rehearsal = run("kill flip1@20")
        picture = drawn(rehearsal)
        gap = next(
            rect
            for rect in picture.iter(f"{SVG}rect")
            if any("no live owner" in (title.text or "") for title in rect)
        )
        point = next(point for point in rehearsal.answers.data if point.datum == TWO)
        ticks = {text.text: float(text.get("x", "0")) for text in picture.iter(f"{SVG}text")}
        scale = (ticks["60 s"] - ticks["0"]) / 60
        assert_that(abs(float(gap.get("x", "0")) - (ticks["0"] + 20 * scale)), less_than(0.1))
        width = float(gap.get("width", "0"))
        assert_that(abs(width - point.gaps[0].length * scale), less_than(0.1))

    def test_cut(self) -> None:
        """A cut is shaded, the cut-off node hatched, and two owners are glaring."""
        picture = drawn(run("cut flip,flip2/flip1@20-40"))
        assert_that(
            texts(picture), has_items("cut flip,flip2/flip1", "cut off", "two owners, apart")
        )
        assert_that(len(filled(picture, "url(#apart)")), equal_to(1))
        assert_that(len(filled(picture, "url(#cut)")), greater_than(0))

    def test_freeze(self) -> None:
        """So is a frozen node."""
        picture = drawn(run("freeze flip1@20-40"))
        assert_that(texts(picture), has_items("freeze flip1", "frozen"))

    def test_self_contained(self) -> None:
        """It refers to nothing outside, and every texture that is used is defined."""
        svg = draw(*run("cut flip,flip2/flip1@20-40", "kill flip2@45"))
        assert_that(svg.replace("http://www.w3.org/2000/svg", ""), is_not(contains_string("http")))
        picture = ET.fromstring(svg)
        defined = {pattern.get("id") for pattern in picture.iter(f"{SVG}pattern")}
        used = {
            rect.get("fill", "")[5:-1]
            for rect in picture.iter(f"{SVG}rect")
            if rect.get("fill", "").startswith("url(#")
        }
        assert_that(used - defined, equal_to(set()))

    def test_consistent_colours(self) -> None:
        """A data point has the same colour wherever it is."""
        picture = drawn(run("kill flip1@20"))
        fills = {
            rect.get("fill")
            for rect in picture.iter(f"{SVG}rect")
            for title in rect
            if (title.text or "").startswith((f"flip serves {TWO}", f"flip owns {TWO}"))
        }
        assert_that(fills, equal_to({colour(0)}))

    def test_the_same_again(self) -> None:
        """The same run gives the same picture."""
        assert_that(draw(*run("kill flip1@20")), equal_to(draw(*run("kill flip1@20"))))

    def test_hostile_names(self) -> None:
        """Names are text, whatever they contain."""
        config = copy.deepcopy(STORY)
        config["servers"]["<b>&\"'"] = config["servers"].pop("flip2")
        config["cluster"]["system"]["ip"]["data"] = ["</svg><script>", "a\x07b"]
        rehearsal = run("kill <b>&\"'@20", config=config)
        assert_that(texts(drawn(rehearsal)), has_items("<b>&\"'", "</svg><script>", "ab"))
        html = page(draw(*rehearsal), timeline(rehearsal.recording))
        assert_that(html, is_not(contains_string("<script")))
        assert_that(html, is_not(contains_string("<b>")))

    def test_violation(self) -> None:
        """A broken rule is said in the picture."""
        recording, answers = run()
        answers.violation = "R9 was broken\\nmore"
        picture = ET.fromstring(draw(recording, answers))
        assert_that(texts(picture), has_item(starts_with("A SAFETY RULE WAS BROKEN: R9")))


class CrowdTests(SynchronousTestCase):
    """Many nodes and data points."""

    def test_many_data(self) -> None:
        """Only data points in trouble have rows of their own, and the others are counted."""
        picture = drawn(run("kill n0@20", config=larger(5, 50), duration=40))
        rows = [text for text in texts(picture) if text.startswith("d") and text[1:].isdigit()]
        assert_that(len(set(rows)), equal_to(10))
        assert_that(texts(picture), has_item("40 others"))

    def test_very_many_data(self) -> None:
        """When too many are in trouble, they are counted over time."""
        picture = drawn(run("kill n0@20", config=larger(3, 120), duration=40))
        assert_that(texts(picture), has_items("no live owner", "40"))
        height = float(picture.get("height", "0"))
        assert_that(height, less_than(700))

    def test_many_nodes(self) -> None:
        """Nodes to which nothing happens become one band."""
        world = World(larger(70, 10))
        self.addCleanup(world.close)
        recording = Recording(world)
        recording.end = 20.0
        recording.faults.append(FaultMark(10, "kill n7@10", True))
        for id, life in recording.life.items():
            life.set(0.5, Life.RUNNING)
            if id == "n7":
                life.set(10, Life.STOPPED)
        recording.sound.set(1.0, frozenset(world.machines))
        recording.sound.set(10.0, frozenset(world.machines) - {"n7"})
        picture = ET.fromstring(draw(recording, answer(recording, seed=1)))
        names = texts(picture)
        assert_that(names, has_items("n7", "69 others"))
        assert_that(names, is_not(has_item("n8")))

    def test_colours(self) -> None:
        """Colours repeat, lighter, and texts on them can be read."""
        assert_that(len({colour(number) for number in range(18)}), equal_to(18))
        assert_that((on("#0072b2"), on("#f0f0f0")), equal_to(("#ffffff", "#222222")))


class CanvasTests(SynchronousTestCase):
    """The writer of SVG."""

    def test_shapes(self) -> None:
        """Attributes are written as SVG has them, with short numbers."""
        canvas = Canvas(100)
        canvas.rect(1, 2.50, 3.14159, 4, "a < b", stroke_width=0.5)
        with canvas.group("both"):
            canvas.line(0, 0, 1, 1, stroke="#000000")
        assert_that(
            canvas.write(50),
            contains_string(
                '<rect x="1" y="2.5" width="3.14" height="4" stroke-width="0.5">'
                "<title>a &lt; b</title></rect>"
                '<g><title>both</title><line x1="0" y1="0" x2="1" y2="1" stroke="#000000" /></g>'
            ),
        )
