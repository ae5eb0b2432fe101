"""Reliability chart as SVG: accuracy by confidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

#: Pixels of one square plot and of the space around it.
SIDE, LEFT, TOP, GAP = 300, 60, 50, 60

_STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#333}.title{font-weight:600}.axis{stroke:#999}.grid{stroke:#eee}"
    ".ideal{stroke:#999;stroke-dasharray:4 4}.bar{fill:#3b82c4}.gap{fill:#d9534f;opacity:.35}"
)


def reliability_chart(figures: Mapping[str, Mapping[str, Any]], caption: str) -> str:
    """Return one plot per label, side by side; the bars of a calibrated engine end at the dashed line."""
    width = LEFT + len(figures) * (SIDE + GAP)
    plots = "".join(
        _plot(
            LEFT + at * (SIDE + GAP),
            label,
            each["reliability"],
            f"accuracy {each['accuracy']:.1%}, ECE {each['ece']:.3f}",
        )
        for at, (label, each) in enumerate(figures.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {SIDE + TOP + 90}" role="img">\n'
        f"<title>{escape(caption)}</title>\n<style>{_STYLE}</style>\n"
        f'<text x="{LEFT}" y="20" class="title">{escape(caption)}</text>\n{plots}</svg>\n'
    )


def _plot(left: int, label: str, bins: Sequence[Mapping[str, float]], figures: str) -> str:
    bottom = TOP + SIDE
    parts = [f'<text x="{left}" y="{TOP - 10}">{escape(label)}: {escape(figures)}</text>']
    for tenth in range(0, 11, 2):
        x, y = left + SIDE * tenth / 10, bottom - SIDE * tenth / 10
        parts.append(f'<line x1="{left}" x2="{left + SIDE}" y1="{y:.1f}" y2="{y:.1f}" class="grid"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tenth / 10:.1f}</text>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tenth / 10:.1f}</text>')
    for each in bins:
        x, right = left + SIDE * each["from"], bottom - SIDE * each["accuracy"]
        sure = bottom - SIDE * each["confidence"]
        wide = SIDE * (each["to"] - each["from"]) - 2
        hint = f"{each['tickets']:.0f} tickets, confidence {each['confidence']:.2f}, accuracy {each['accuracy']:.2f}"
        parts.append(
            f'<g><title>{hint}</title><rect x="{x + 1:.1f}" y="{right:.1f}" width="{wide:.1f}" '
            f'height="{bottom - right:.1f}" class="bar"/><rect x="{x + 1:.1f}" y="{min(right, sure):.1f}" '
            f'width="{wide:.1f}" height="{abs(right - sure):.1f}" class="gap"/></g>'
        )
    parts.append(f'<line x1="{left}" y1="{bottom}" x2="{left + SIDE}" y2="{TOP}" class="ideal"/>')
    parts.append(f'<path d="M{left} {TOP}V{bottom}H{left + SIDE}" fill="none" class="axis"/>')
    parts.append(f'<text x="{left + SIDE / 2}" y="{bottom + 40}" text-anchor="middle">confidence</text>')
    parts.append(
        f'<text transform="translate({left - 42} {TOP + SIDE / 2}) rotate(-90)" text-anchor="middle">accuracy</text>'
    )
    return "\n".join(parts) + "\n"
