# SPDX-License-Identifier: GPL-2.0
"""Tables for a terminal."""


def show(title, heads, rows):
    """The first column is for names, the others for numbers; None is a gap"""
    cells = [[text(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(heads)] + cells) for i in range(len(heads))]
    print(f"\n{title}")
    for row in [list(heads)] + cells:
        print("  " + "  ".join(cell.rjust(width) if i else cell.ljust(width)
                               for i, (cell, width) in enumerate(zip(row, widths))).rstrip())


def text(cell):
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.2f}"
    if isinstance(cell, int):
        return f"{cell:,}".replace(",", " ")
    return str(cell)


def size(number):
    """Bytes, as people write them"""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024 or unit == "GiB":
            return f"{number:g} {unit}"
        number /= 1024
    return ""
