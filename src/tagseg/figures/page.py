"""The headline of a run as one HTML page, with its tables, and with its pictures in the file itself.

Whatever comes from a user (names of classes, experiments and data sets) is escaped.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import pandas as pd

# Every rule begins with .tagseg: the page is also shown inside Snakemake's report, which has its own styles.
_STYLE = """
.tagseg { max-width: 72rem; margin: 0 auto; font: 16px/1.5 system-ui, sans-serif; color: #1e293b; }
.tagseg h1 { font-size: 1.7rem; line-height: 1.2; margin: .4em 0 .2em; font-weight: 700; }
.tagseg h2 { font-size: 1.2rem; margin: 1.6em 0 .4em; font-weight: 600; }
.tagseg p { margin: .4em 0; }
.tagseg .scroll { overflow-x: auto; margin: .6em 0; }
.tagseg table { border-collapse: collapse; font-size: .9rem; width: auto; margin: 0; }
.tagseg th, .tagseg td { padding: .25em .8em; text-align: right; white-space: nowrap; }
.tagseg th, .tagseg td { border-bottom: 1px solid #e2e8f0; }
.tagseg th:first-child, .tagseg td:first-child { text-align: left; padding-left: 0; }
.tagseg td.text, .tagseg th.text { text-align: left; }
.tagseg tr.published td { color: #64748b; font-style: italic; }
.tagseg td.best { font-weight: 700; color: #0f766e; }
.tagseg .top { display: flex; flex-wrap: wrap; gap: 0 2.5rem; align-items: flex-start; }
.tagseg .top > * { max-width: 100%; }
.tagseg .top figure { flex: 0 1 30rem; margin: .6em 0; }
.tagseg figure { margin: 1.2em 0; }
.tagseg figure img { max-width: 100%; height: auto; margin: 0; }
.tagseg figcaption { font-size: .85rem; color: #475569; margin-top: .3em; }
.tagseg details { margin: .6em 0; }
.tagseg summary { cursor: pointer; font-weight: 600; }
@media (max-width: 640px) {
  .tagseg { font-size: 15px; }
  .tagseg th, .tagseg td { padding: .25em .45em; font-size: .8rem; }
  .tagseg figure.wide img { max-width: none; width: 44rem; }
}
""".strip()

_WIDE = 1000  # pixels of width from which the panels of a picture are too small on a phone


@dataclass(frozen=True)
class Picture:
    """A PNG (its bytes), its name, and what it shows."""

    png: bytes
    name: str
    caption: str


def headline_page(
    title: str, lead: Sequence[str], headline: pd.DataFrame, tables: dict[str, pd.DataFrame], pictures: list[Picture]
) -> str:
    """The HTML of the page.

    Below the title come the sentences of `lead`, the headline table with the first picture beside it, the other
    pictures, and the tables by name, folded.
    """
    parts = [
        "<!doctype html>",
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{_STYLE}</style>",
        '<div class="tagseg">',
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(sentence)}</p>" for sentence in lead),
        f'<div class="top">{html_table(headline)}{"".join(map(html_picture, pictures[:1]))}</div>',
        *map(html_picture, pictures[1:]),
        "<h2>All figures</h2>",
        *(f"<details><summary>{escape(name)}</summary>{html_table(table)}</details>" for name, table in tables.items()),
        "</div>",
    ]
    return "\n".join(parts) + "\n"


def html_table(frame: pd.DataFrame) -> str:
    """A table as HTML, which scrolls by itself where the page is narrow.

    Fractions have one decimal, whole numbers none; unknown values are blank. The largest measured `mIoU` is marked, and
    so are published rows; the column `source`, which tells them apart, is not shown.
    """
    measured = frame["source"] != "published" if "source" in frame else pd.Series(True, index=frame.index)
    best = frame.loc[measured, "mIoU"].max() if "mIoU" in frame else None
    shown = frame.drop(columns="source") if "source" in frame else frame
    numeric = {column: pd.api.types.is_numeric_dtype(frame[column]) for column in shown}
    head = "".join(f"<th{'' if numeric[c] else ' class=text'}>{escape(str(c))}</th>" for c in shown)
    rows = []
    for i, (_, row) in enumerate(shown.iterrows()):
        own = bool(measured.iloc[i])
        cells = []
        for column, value in row.items():
            kind = "" if numeric[str(column)] else " class=text"
            if own and column == "mIoU" and value == best:
                kind = " class=best"
            cells.append(f"<td{kind}>{escape(_written(value))}</td>")
        rows.append(f"<tr{'' if own else ' class=published'}>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>'
        + "\n".join(rows)
        + "</tbody></table></div>"
    )


def html_picture(picture: Picture) -> str:
    """A picture as HTML, its bytes included; a wide one keeps its size on a phone, and scrolls."""
    data = base64.b64encode(picture.png).decode("ascii")
    width = int.from_bytes(picture.png[16:20], "big")  # as the PNG's header has it
    kind = ' class="wide"' if width > _WIDE else ""
    return (
        f'<figure{kind}><div class="scroll"><img alt="{escape(picture.name)}" src="data:image/png;base64,{data}"></div>'
        f"<figcaption><b>{escape(picture.name)}.</b> {escape(picture.caption)}</figcaption></figure>"
    )


def _written(value: object) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and pd.isna(value)):
        return ""
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) > 100 else f"{value:.1f}"
    return str(value)
