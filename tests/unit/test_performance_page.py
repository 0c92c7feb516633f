from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.peers import page
from bench.peers.peer import Operation
from bench.peers.results import LEFT_OUT, Known, Results, Row
from bench.peers.subjects import PEERS, SUBJECTS
from bench.peers.svg import Panel, Series, drawn


def test_the_page_and_its_plots_are_what_was_measured():
    results = Results.read()
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.written(text, results) == text
    for name, plot in page.plots(results).items():
        assert (page.PLOTS / name).read_text(encoding="utf-8") == plot
        assert f"(performance/{name})" in text


def test_every_peer_was_measured():
    measured = {row.subject for row in Results.read().rows if row.operation == Operation.SEARCH}
    assert measured == {subject.key for subject in SUBJECTS}
    assert {subject.peer for subject in SUBJECTS} == {"memsvc", *PEERS}


def test_a_run_with_one_peer_leaves_the_figures_of_the_others():
    known = Known("synced", {})
    before = Results({"cores": 1}, {"a": known, "b": known}, [Row("a", "get", 100, 1.0), Row("b", "get", 100, 2.0)])
    run = Results({"cores": 2}, {"a": known}, [Row("a", "get", 100, 3.0), Row("a", "get", 1_000, 4.0)])
    after = before.updated_by(run)
    assert after.machine == {"cores": 2}
    assert sorted(after.rows, key=lambda row: row.seconds) == [before.rows[1], *run.rows]


def test_what_was_left_out_and_then_measured_is_no_longer_said_to_be_left_out():
    before = Results({}, {"a": Known("", {})}, [Row("a", LEFT_OUT, 10_000, 600.0)])
    run = Results({}, {"a": Known("", {})}, [Row("a", "get", 10_000, 1.0)])
    assert before.updated_by(run).rows == run.rows


def test_a_ratio_is_of_times_and_of_a_write_of_rates():
    assert Row("a", "get", 100, seconds=3.0).divided_by(Row("b", "get", 100, seconds=2.0)).times_memsvc == 1.5
    fast, slow = Row("a", "write", 100, rate=10.0), Row("b", "write", 100, rate=40.0)
    assert fast.divided_by(slow).times_memsvc == 0.25


def test_there_is_no_ratio_to_what_was_lost_in_noise():
    assert Row("a", "turn", 100, seconds=3.0).divided_by(Row("b", "turn", 100, seconds=-0.1)).times_memsvc == 0
    assert Row("a", "turn", 100, seconds=-0.1).divided_by(Row("b", "turn", 100, seconds=2.0)).times_memsvc == 0


@pytest.mark.parametrize("points", [[(100, 0.5)], [(100, 0.5), (10_000, 80.0)]])
def test_points_lie_inside_their_panel(points):
    series = Series("one & two", "#0072b2", "circle", "", points)
    image = ElementTree.fromstring(drawn([Panel("a < b", "x", "y", [series])], columns=1))
    frame = next(each for each in image.iter() if each.get("class") == "frame")
    left, top = float(frame.get("x")), float(frame.get("y"))
    circles = [each for each in image.iter() if each.tag.endswith("circle")][: len(points)]
    places = [(float(each.get("cx")) - left, float(each.get("cy")) - top) for each in circles]
    for right, down in places:
        assert 0 < right < float(frame.get("width"))
        assert 0 < down < float(frame.get("height"))
    # What is more stands higher.
    assert places == sorted(places, key=lambda place: (place[0], -place[1]))
