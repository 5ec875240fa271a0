# SPDX-License-Identifier: GPL-2.0
"""Pictures as SVG: panels with two logarithmic axes, a line a series, labels at the lines."""

import math
from xml.sax.saxutils import escape

PANEL_W, PANEL_H = 460, 300
LEFT, RIGHT, TOP, BOTTOM = 74, 140, 40, 56      # around the axes of a panel
HEAD = 66                                       # above the panels
LABEL = 13                                      # between two labels at least

COLORS = ("#1b6ca8", "#c1440e", "#3a7d44", "#7b4ea3", "#8a6d1d", "#5b6770", "#b03a72",
          "#2a9d8f", "#444444")

STYLE = """\
text { font-family: "DejaVu Sans", Helvetica, Arial, sans-serif; font-size: 11px; fill: #222 }
.title { font-size: 17px; font-weight: bold } .sub { fill: #555 } .panel { font-size: 13px }
.axis { stroke: #222; fill: none } .grid { stroke: #ddd; fill: none }
.line { fill: none; stroke-width: 1.6 } .own { stroke-width: 3 }
.label { font-size: 11px } .ownlabel { font-weight: bold }"""


def number(value):
    """12 500 as 12.5 k"""
    for limit, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= limit:
            return f"{value / limit:g}{unit}"
    return f"{value:g}"


class Panel:
    """@series: name -> [(x, y)]; those in @own are IO-Lite's, which stand out"""

    def __init__(self, title, series, own=()):
        self.title = title
        self.series = {name: sorted((x, y) for x, y in points if x > 0 and y > 0)
                       for name, points in series.items()}
        self.series = {name: points for name, points in self.series.items() if points}
        self.own = own

    def range(self, axis):
        values = [point[axis] for points in self.series.values() for point in points]
        return min(values), max(values)


def _ticks(low, high):
    """1, 10, 100 ...; with 2 and 5 where that would be few"""
    steps = (1,) if high / low > 300 else (1, 2, 5)
    found = []
    for exponent in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1):
        found += [m * 10.0 ** exponent for m in steps]
    return [t for t in found if low * 0.999 <= t <= high * 1.001]


def _apart(wanted, low, high):
    """Places as near to the wanted ones as labels fit between low and high"""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    places = [0.0] * len(wanted)
    at = low - LABEL
    for i in order:
        at = places[i] = max(wanted[i], at + LABEL)
    at = high + LABEL
    for i in reversed(order):
        at = places[i] = min(places[i], at - LABEL)
    return places


class _Drawing:
    def __init__(self):
        self.parts = []

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, css="", anchor="start", more=""):
        self.add(f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}"{more}>'
                 f"{escape(text)}</text>")

    def line(self, x1, y1, x2, y2, css):
        self.add(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>')


def _draw_panel(d, panel, left, top, xlabel, ylabel, xticks, xname, colors, yrange):
    x0, x1 = left + LEFT, left + PANEL_W - RIGHT
    y0, y1 = top + PANEL_H - BOTTOM, top + TOP
    xlow, xhigh = panel.range(0)
    ylow, yhigh = yrange or panel.range(1)
    ylow, yhigh = ylow / 1.15, yhigh * 1.15
    if xlow == xhigh:
        xlow, xhigh = xlow / 2, xhigh * 2

    def xat(x):
        return x0 + (x1 - x0) * math.log(x / xlow) / math.log(xhigh / xlow)

    def yat(y):
        return y0 + (y1 - y0) * math.log(y / ylow) / math.log(yhigh / ylow)

    d.text(left + LEFT, top + 24, panel.title, "panel")
    for t in _ticks(ylow, yhigh):
        d.line(x0, yat(t), x1, yat(t), "grid")
        d.text(x0 - 6, yat(t) + 4, number(t), anchor="end")
    points = sorted({x for series in panel.series.values() for x, _ in series})
    for t in xticks or (points if len(points) <= 8 else _ticks(xlow, xhigh)):
        if xlow <= t <= xhigh:
            d.line(xat(t), y0, xat(t), y0 + 4, "axis")
            d.text(xat(t), y0 + 17, xname(t), anchor="middle")
    d.add(f'<path class="axis" d="M{x0} {y1} V{y0} H{x1}"/>')
    d.text((x0 + x1) / 2, y0 + 36, xlabel, anchor="middle")
    ymiddle = (y0 + y1) / 2
    d.text(left + 16, ymiddle, ylabel, anchor="middle",
           more=f' transform="rotate(-90 {left + 16} {ymiddle:.1f})"')

    names = list(panel.series)
    places = _apart([yat(panel.series[name][-1][1]) for name in names], y1, y0)
    # IO-Lite's lines last, so that they lie above
    for name, place in sorted(zip(names, places), key=lambda pair: pair[0] in panel.own):
        series, own, color = panel.series[name], name in panel.own, colors[name]
        path = " ".join(f"{xat(x):.1f},{yat(y):.1f}" for x, y in series)
        d.add(f'<polyline class="line{" own" if own else ""}" stroke="{color}" points="{path}"/>')
        for x, y in series:
            d.add(f'<circle cx="{xat(x):.1f}" cy="{yat(y):.1f}" r="{3 if own else 2}" '
                  f'fill="{color}"/>')
        xend, yend = xat(series[-1][0]), yat(series[-1][1])
        d.add(f'<path d="M{xend:.1f} {yend:.1f} L{x1 + 10} {place:.1f}" stroke="{color}" '
              'stroke-width="0.6" fill="none"/>')
        d.text(x1 + 13, place + 4, name, "label ownlabel" if own else "label",
               more=f' style="fill: {color}"')


def write(path, title, subtitle, panels, *, xlabel, ylabel, columns=2, xticks=None,
          xname=number, same_y=True):
    """@xname: how a value of the x axis is written; @same_y: one y axis for all panels"""
    panels = [p for p in panels if p.series]
    columns = min(columns, len(panels)) or 1
    rows = -(-len(panels) // columns)
    width, height = columns * PANEL_W, HEAD + rows * PANEL_H
    names = list(dict.fromkeys(name for p in panels for name in p.series))
    colors = {name: COLORS[i % len(COLORS)] for i, name in enumerate(names)}
    yrange = None
    if same_y and panels:
        ranges = [p.range(1) for p in panels]
        yrange = min(r[0] for r in ranges), max(r[1] for r in ranges)
    d = _Drawing()
    d.add(f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
          f'viewBox="0 0 {width} {height}" role="img">')
    d.add(f"<title>{escape(title)}</title><style>{STYLE}</style>")
    d.add(f'<rect width="{width}" height="{height}" fill="white"/>')
    d.text(16, 28, title, "title")
    d.text(16, 48, subtitle, "sub")
    for i, panel in enumerate(panels):
        _draw_panel(d, panel, (i % columns) * PANEL_W, HEAD + (i // columns) * PANEL_H,
                    xlabel, ylabel, xticks, xname, colors, yrange)
    d.add("</svg>")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(d.parts) + "\n")
