"""The chart of docs/explanation/performance.md: an SVG of bars that follows the reader's light or dark theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.results import Results

WIDTH, LABEL, BAR, GAP = 760, 170, 18, 8
STYLE = """
    text { font: 13px system-ui, sans-serif; fill: #1f2328 } .dim { fill: #59636e } .head { font-weight: 600 }
    .ours { fill: #0969da } .theirs { fill: #9aa4af } .b { fill: #c4792b } .c { fill: #4f9a7b }
    @media (prefers-color-scheme: dark) {
        text { fill: #e6edf3 } .dim { fill: #9198a1 } .ours { fill: #4493f8 } .theirs { fill: #6b7683 }
        .b { fill: #d99a55 } .c { fill: #66b795 }
    }
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One line of a panel: a label, the parts of its bar as (class, value), and what is written behind it."""

    label: str
    parts: Sequence[tuple[str, float]]
    text: str


def draw(measured: Results) -> str:
    """Return the chart of all contenders: throughput, CPU, and latency where it was measured."""
    contenders = [(name, each["title"], each["median"]) for name, each in measured["contenders"].items()]
    colour = {name: "ours" if name.startswith("aura") else "theirs" for name, _, _ in contenders}
    panels = [
        (
            "Tickets a second, more is better",
            [Bar(title, [(colour[name], m["rate"])], f"{m['rate']:,.0f}") for name, title, m in contenders],
        ),
        (
            "Microseconds of CPU for a ticket, less is better: workers, "
            '<tspan class="b">broker</tspan>, <tspan class="c">database</tspan>',
            [
                Bar(
                    title,
                    [(colour[name], m["cpu_workers"]), ("b", m["cpu_broker"]), ("c", m["cpu_database"])],
                    f"{m['cpu']:,.0f}",
                )
                for name, title, m in contenders
            ],
        ),
    ]
    if all("steady_p95" in m for _, _, m in contenders):
        bars = [
            Bar(title, [(colour[name], m["steady_p95"])], f"{m['steady_p95']:,.1f}") for name, title, m in contenders
        ]
        panels.append(("Milliseconds through all steps at 50 tickets/s, 95th percentile, less is better", bars))
    lines: list[str] = []
    y = 24
    for heading, bars in panels:
        lines.append(f'<text class="head" x="0" y="{y}">{heading}</text>')
        y += 14
        lines += _panel(bars, y)
        y += len(bars) * (BAR + GAP) + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 0 {WIDTH + 24} {y - 20}" role="img" '
        f'aria-label="Aura and its peers: throughput, CPU and latency">\n<style>{STYLE}</style>\n'
        + "\n".join(lines)
        + "\n</svg>\n"
    )


def _panel(bars: Sequence[Bar], top: int) -> list[str]:
    scale = (WIDTH - LABEL - 70) / max(sum(value for _, value in bar.parts) for bar in bars)
    lines = []
    for number, bar in enumerate(bars):
        y, x = top + number * (BAR + GAP), float(LABEL)
        lines.append(f'<text x="0" y="{y + 14}">{escape(bar.label)}</text>')
        for look, value in bar.parts:
            lines.append(
                f'<rect class="{look}" x="{x:.1f}" y="{y}" width="{max(value * scale, 1):.1f}" height="{BAR}"/>'
            )
            x += value * scale
        lines.append(f'<text class="dim" x="{x + 6:.1f}" y="{y + 14}">{escape(bar.text)}</text>')
    return lines
