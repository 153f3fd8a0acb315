"""The picture as a web page of its own: it needs nothing else, and says more under the mouse."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from flip.simulation.report.timeline import Line

STYLE = """
body { font: 14px/1.5 Helvetica, Arial, 'Liberation Sans', sans-serif; color: #222;
  margin: 1.5em auto;  max-width: 1240px; background: #fff }
svg { width: 100%; height: auto }
svg rect:hover { stroke: #000; stroke-width: 1.5 }
table { border-collapse: collapse; font-size: 13px }
td { padding: 1px 12px 1px 0; vertical-align: top }
td:first-child { text-align: right; color: #777; white-space: nowrap }
.fault { font-weight: bold }
.bad { color: #b04a00 }
.good { color: #00674a }
@media print { svg rect:hover { stroke: none } }
"""


def page(svg: str, lines: Sequence[Line]) -> str:
    """An HTML document with the picture and, below it, the timeline."""
    rows = "\n".join(
        f'<tr class="{line.tone.value}"><td>{escape(line.when)}</td>'
        f"<td>{escape(line.text)}</td></tr>"
        for line in lines
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>flip simulate</title><style>{STYLE}</style></head>\n"
        f"<body>\n{svg}\n<h2>What happened</h2>\n<table>\n{rows}\n</table>\n</body></html>\n"
    )
