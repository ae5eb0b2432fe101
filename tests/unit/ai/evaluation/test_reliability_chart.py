from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree

from aura.ai.evaluation.evaluate import measure
from aura.ai.evaluation.reliability_chart import reliability_chart
from tests.unit.ai.evaluation.test_evaluate import predictions


def test_the_chart_is_well_formed_svg_with_a_bar_per_bin() -> None:
    figures = {"category": measure(predictions(), 0.95), "<priority>": measure(predictions()[:1], 0.95)}
    root = ElementTree.fromstring(reliability_chart(figures, "a < b & c"))

    names = {"svg": "http://www.w3.org/2000/svg"}
    bars = root.findall(".//svg:rect[@class='bar']", names)
    assert len(bars) == len(figures["category"]["reliability"]) + 1
    assert root.find("svg:title", names).text == "a < b & c"  # type: ignore[union-attr]
    hints = [title.text for title in root.findall(".//svg:g/svg:title", names)]
    assert "1 tickets, confidence 0.90, accuracy 1.00" in hints
    for bar in bars:
        assert all(
            math.isfinite(float(bar.attrib[side])) and float(bar.attrib[side]) >= 0 for side in ("x", "y", "height")
        )
