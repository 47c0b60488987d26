"""Figures: equal bytes, what is drawn, ranks, averages, and the page that a report opens with."""

import base64
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox
from PIL import Image

from tagseg.errors import TagsegError
from tagseg.evaluation.averages import AverageMaps
from tagseg.figures.bars import class_bars, experiment_chart
from tagseg.figures.classes import average_figure, confusion_figure
from tagseg.figures.curves import loss_figure, trimap_figure
from tagseg.figures.encoding import figure_bytes
from tagseg.figures.grid import CELL, Cell, image_grid
from tagseg.figures.page import Picture, headline_page, html_table
from tagseg.figures.panels import (
    LONGEST_SIDE,
    class_maps_panel,
    heat_overlay_panel,
    heat_panel,
    image_panel,
    label_overlay_panel,
    label_panel,
)
from tagseg.figures.style import DPI
from tagseg.images.palette import voc_palette
from tagseg.runtime.pictures import write_figure
from tagseg.stages.figure_ranked import ranked

MAPS = np.linspace(0, 1, 2 * 6 * 6).reshape(2, 6, 6)
STEPS = np.arange(1.0, 9)


IMAGE = np.full((9, 12, 3), 90, np.uint8)
LABELS = np.tile(np.array([0, 1, 255], dtype=np.uint8), (9, 4))
CELLS: list[Cell] = [
    ("image", image_panel(IMAGE)),
    ("map", heat_panel(MAPS[0])),
    ("mask", label_panel(LABELS)),
]


FIGURES: dict[str, Callable[[], Figure]] = {
    "grid": lambda: image_grid([("a", CELLS)], ["b", "c"]),
    "chart": lambda: experiment_chart(["a", "b_c"], [10, 20], [30, 40], "t"),
    "losses": lambda: loss_figure({"a": (STEPS, STEPS[::-1])}, "t"),
    "trimap": lambda: trimap_figure({("a", "none"): (STEPS,) * 3, ("a", "pairwise"): (STEPS,) * 3}, "t"),
    "average": lambda: average_figure(["cat", "dog"], [3, 4], MAPS, MAPS, ["cow"]),
    "confusion": lambda: confusion_figure(["a", "b"], np.array([[0.75, 0.25], [np.nan, np.nan]]), "t"),
    "bars": lambda: class_bars(["a", "b"], {"x": np.array([10.0, np.nan])}, {"y": np.array([20.0, 30])}, "t"),
}


@pytest.mark.parametrize("name", FIGURES)
def test_equal_figures_are_equal_bytes_without_a_date_or_a_version(name: str) -> None:
    for kind in ("png", "svg"):
        first, second = (figure_bytes(FIGURES[name](), kind) for _ in range(2))
        assert first == second
        assert not re.search(rb"<dc:date>|matplotlib\.org|Matplotlib v|Software", first)


@pytest.mark.parametrize("name", FIGURES)
def test_the_last_digits_of_a_layout_are_not_in_the_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They differ from process to process, and an SVG names its parts by every digit of their places."""
    plain = figure_bytes(FIGURES[name](), "svg")
    lay_out, noise = ConstrainedLayoutEngine.execute, np.random.default_rng(0)

    def execute(engine: ConstrainedLayoutEngine, figure: Figure) -> None:
        lay_out(engine, figure)
        for axes in figure.axes:
            points = axes.get_position(original=True).get_points()
            axes._set_position(Bbox(points + noise.normal(scale=1e-15, size=points.shape)))  # still laid out

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", execute)
    assert figure_bytes(FIGURES[name](), "svg") == plain


def test_a_suffix_names_the_format(tmp_path: Path) -> None:
    write_figure(FIGURES["bars"](), tmp_path / "a.png", tmp_path / "a.SVG")
    with Image.open(tmp_path / "a.png") as image:
        assert image.format == "PNG"
    assert ElementTree.parse(tmp_path / "a.SVG").getroot().tag.endswith("svg")
    with pytest.raises(TagsegError, match=r"a\.pdf: a picture is one of \.png, \.svg"):
        write_figure(FIGURES["bars"](), tmp_path / "a.png", tmp_path / "a.pdf")


def test_confusion_matrix_writes_the_shares_in_percent() -> None:
    field = FIGURES["confusion"]().axes[0]
    assert [text.get_text() for text in field.texts] == ["75", "25"]
    assert [label.get_text() for label in field.get_xticklabels()] == ["a", "b"]


def test_eighty_classes_have_no_written_figures_but_all_names() -> None:
    names = [f"c{i}" for i in range(80)]
    field = confusion_figure(names, np.eye(80), "t").axes[0]
    assert not field.texts and [label.get_text() for label in field.get_yticklabels()] == names


def test_bars_are_as_long_as_the_figures() -> None:
    field = FIGURES["bars"]().axes[0]
    assert [bar.get_width() for bar in field.patches] == [10, 0]
    assert field.lines[0].get_xdata().tolist() == [20, 30]


def test_bars_tell_an_iou_of_0_from_an_unknown_one_and_name_classes_without_any() -> None:
    nan = np.nan
    field = class_bars(
        ["a", "b", "c", "d"], {"x": np.array([10, nan, 0, nan]), "y": np.array([nan, nan, 30, nan])}, {}, "t"
    ).axes[0]
    assert [tick.get_text() for tick in field.get_yticklabels()] == ["a", "c"]
    assert [text.get_text() for text in field.texts] == ["10", "0", "", "30"]
    assert field.get_xlabel() == "IoU (%)\nin no truth and no prediction: b, d"


def test_the_legend_of_experiments_lies_on_no_bar() -> None:
    figure = experiment_chart(["a", "b"], [10, 20], [15, 25], "t")
    figure.canvas.draw()
    (legend,) = figure.legends
    assert legend.get_window_extent().y1 < figure.axes[0].get_window_extent().y0


def test_average_figure_names_classes_and_those_without_an_image() -> None:
    figure = FIGURES["average"]()
    assert [a.get_title() for a in figure.axes[:2]] == ["cat\n3 images", "dog\n4 images"]
    assert figure.get_supxlabel() == "in no image: cow"


def test_average_figure_spreads_its_classes_over_equal_rows() -> None:
    """Eleven classes: six above five, not ten above one."""
    maps = np.zeros((11, 4, 4))
    figure = average_figure([f"c{i}" for i in range(11)], [1] * 11, maps, maps, [])
    titles = [a.get_title() for a in figure.axes]
    assert len(titles) == 24 and titles[5] == "c5\n1 image" and titles[12] == "c6\n1 image" and titles[17] == ""


def test_trimap_figure_has_a_line_a_method_and_crf() -> None:
    for field in FIGURES["trimap"]().axes:
        assert [(line.get_label(), line.get_linestyle()) for line in field.lines] == [("a", "--"), ("a + CRF", "-")]


def test_average_maps_are_means_by_class() -> None:
    averages = AverageMaps(3, 2)
    for label, value in ((1, 0.2), (1, 0.6), (2, 1.0)):
        averages.update(label, np.full((2, 2), value))
    assert averages.images.tolist() == [0, 2, 1]
    np.testing.assert_allclose(averages.mean()[1:, 0, 0], [0.4, 1.0])
    assert np.isnan(averages.mean()[0]).all()
    with pytest.raises(ValueError, match=r"\(3, 2\)"):
        averages.update(1, np.zeros((3, 2)))


# panels and their grid


def test_a_heat_map_lets_the_image_through_where_it_is_low() -> None:
    image = np.full((1, 2, 3), 200, dtype=np.uint8)
    shown = heat_overlay_panel(image, np.array([[0.0, 1.0]])).pixels.astype(int)
    assert abs(shown[0, 0] - 150).max() <= 1  # a quarter of the darkest colour
    assert abs(shown[0, 1] - (0.75 * np.array([252, 253, 191]) + 50)).max() <= 2


def test_panels_say_which_classes_a_legend_explains() -> None:
    labels = label_panel(LABELS)
    assert labels.labels == {0, 1}
    np.testing.assert_array_equal(labels.pixels, voc_palette()[LABELS])
    over = label_overlay_panel(IMAGE, LABELS)
    assert over.labels == {1} and over.pixels.shape == (9 * 26, 12 * 26, 3)  # so that outlines are thin
    assert image_panel(IMAGE).labels == heat_panel(MAPS[0]).labels == frozenset()


def test_class_maps_are_as_bright_as_the_maps_and_black_without_a_class() -> None:
    palette = voc_palette().astype(int)
    panel = class_maps_panel(np.array([[[0.5, 0.0]], [[0.0, 1.0]]]), np.array([3, 2]))
    assert abs(panel.pixels[0] - np.stack([palette[3] // 2, palette[2]])).max() <= 1 and panel.labels == {2, 3}
    empty = class_maps_panel(np.zeros((0, 4, 5)), np.array([], dtype=np.uint8))
    assert empty.pixels.shape == (4, 5, 3) and not empty.pixels.any() and not empty.labels


@pytest.mark.parametrize("shape", [(3000, 1000), (900, 1800)])
def test_panels_of_large_photographs_are_small(shape: tuple[int, int]) -> None:
    image, labels = np.zeros((*shape, 3), np.uint8), np.ones(shape, np.uint8)
    for panel in (
        image_panel(image), heat_panel(labels), heat_overlay_panel(image, labels), label_panel(labels),
        label_overlay_panel(image, labels), class_maps_panel(labels[None], np.array([1])),
    ):  # fmt: skip
        assert max(panel.pixels.shape) == LONGEST_SIDE
        assert panel.pixels.shape[0] / panel.pixels.shape[1] == pytest.approx(shape[0] / shape[1], rel=0.01)


def titles(figure: Figure) -> list[str]:
    return [axes.get_title() for axes in figure.axes]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for one in figure.legends for text in one.get_texts()]


def test_titles_head_the_columns_of_a_grid() -> None:
    figure = image_grid([("a", CELLS), ("b", CELLS)], ["none", "cat"])
    assert titles(figure) == ["image", "map", "mask", "", "", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "", "", "b", "", ""]
    assert legend(figure) == ["none", "cat"]
    with pytest.raises(ValueError, match="row 'b' has other columns than image, map, mask"):
        image_grid([("a", CELLS), ("b", CELLS[:2])])
    with pytest.raises(ValueError, match="without rows"):
        image_grid([])


def test_a_row_goes_on_over_several_lines_where_each_panel_has_its_title() -> None:
    figure = image_grid([("a", CELLS), ("b", CELLS[:1])], ["none"], columns=2)
    assert titles(figure) == ["image", "map", "mask", "", "image", ""]
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "", "", "", "b", ""]
    assert [axes.axison for axes in figure.axes] == [True, True, True, False, True, False]
    assert legend(figure) == ["none"]  # class 1 has no name
    assert not image_grid([("a", CELLS[:2])]).legends


def test_long_titles_and_labels_reach_into_no_neighbour() -> None:
    """Words are kept whole where they can be; what is written twice as wide as Latin letters counts twice."""
    tags = ", ".join(f"tag{i}" for i in range(40))
    cells: list[Cell] = [("an_experiment_with_a_very_long_name_" * 2, CELLS[0][1]), (tags, CELLS[1][1])]
    figure = image_grid([(tags, cells), (tags, cells)], columns=2)
    figure.canvas.draw()
    for axes in figure.axes:
        cell = axes.get_window_extent()
        assert axes.title.get_window_extent().width < CELL * DPI
        assert axes.get_ylabel() == "" or axes.yaxis.label.get_window_extent().height < cell.height * 1.1
    shown = figure.axes[1].get_title()
    assert shown.replace("\n", " ") == tags and "\n" in shown
    wide = image_grid([("", [("\u732b" * 40, CELLS[0][1])])]).axes[0].get_title()
    assert max(map(len, wide.split("\n"))) == 14


# ranks


VALUES = np.array([30, 90, np.nan, 10, 90, 50, 70])


@pytest.mark.parametrize(
    ("rank", "count", "wanted"),
    [
        ("best", 3, [1, 4, 6]),
        ("worst", 3, [3, 0, 5]),
        ("median", 2, [6, 5]),
        ("median", 3, [4, 6, 5]),
        ("best", 99, [1, 4, 6, 5, 0, 3]),
        ("median", 99, [1, 4, 6, 5, 0, 3]),
    ],
)
def test_ranks(rank: str, count: int, wanted: list[int]) -> None:
    assert ranked(VALUES, rank, count) == wanted


# page


def png() -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (1400, 20)).save(target, "PNG")
    return target.getvalue()


def test_the_page_holds_everything_itself_and_escapes_what_users_wrote() -> None:
    evil = "<script>alert(1)</script>"
    frame = pd.DataFrame({"method": [evil], "mIoU": [12.34], "source": ["measured"]})
    text = headline_page(evil, [evil], frame, {evil: frame}, [Picture(png(), evil, evil)])
    assert "<script" not in text and text.count("&lt;script&gt;") == 9
    sources = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert len(sources) == 1 and sources[0].startswith("data:image/png;base64,")
    assert base64.b64decode(sources[0].partition(",")[2]) == png()
    assert 'name="viewport" content="width=device-width' in text and 'figure class="wide"' in text
    assert "http" not in text


def test_the_best_measured_figure_is_marked_and_published_rows_are_set_apart() -> None:
    frame = pd.DataFrame(
        {"method": ["a", "b", "c"], "mIoU": [10.0, 20.0, 50.9], "source": ["measured", "measured", "published"]}
    )
    text = html_table(frame)
    assert text.count("class=best") == 1 and "<td class=best>20.0</td>" in text
    assert text.count("<tr class=published>") == 1 and "source" not in text


def test_blank_cells_stay_blank_and_whole_numbers_whole() -> None:
    frame = pd.DataFrame({"a": [1.5, np.nan], "n": pd.array([600, None], dtype="Int64")})
    assert "<tr><td>1.5</td><td>600</td></tr>\n<tr><td></td><td></td></tr>" in html_table(frame)
