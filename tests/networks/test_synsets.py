"""The table of ILSVRC's synsets: real ids, each class's own, and the families that it names whole."""

import csv
from importlib import resources

import pytest
from timm.data import ImageNetInfo

from tagseg.datasets.voc import CLASSES
from tagseg.networks.backbones.weights import imagenet_wordnet_ids
from tagseg.networks.synsets import synsets, synsets_of

# a word of the description of a class's first synset, as WordNet has it
FIRST = {
    "aeroplane": "airliner", "bicycle": "bicycle-built-for-two", "bird": "cock", "boat": "canoe",
    "bottle": "beer bottle", "bus": "minibus", "car": "beach wagon", "cat": "tabby", "chair": "barber chair",
    "cow": "ox", "diningtable": "dining table", "dog": "Chihuahua", "horse": "sorrel", "motorbike": "moped",
    "pottedplant": "flowerpot", "sheep": "ram", "sofa": "studio couch", "train": "bullet train", "tvmonitor": "monitor",
    "airplane": "airliner", "apple": "Granny Smith", "backpack": "backpack", "banana": "banana", "bear": "brown bear",
    "bed": "four-poster", "bench": "park bench", "book": "comic book", "bowl": "mixing bowl", "broccoli": "broccoli",
    "cell phone": "cellular telephone", "clock": "analog clock", "couch": "studio couch", "cup": "beer glass",
    "dining table": "dining table", "elephant": "tusker", "hair drier": "hair drier", "handbag": "mailbag",
    "hot dog": "hotdog", "keyboard": "computer keyboard", "knife": "cleaver", "laptop": "laptop",
    "microwave": "microwave", "motorcycle": "moped", "mouse": "computer mouse", "orange": "orange",
    "oven": "rotisserie", "parking meter": "parking meter", "pizza": "pizza", "potted plant": "flowerpot",
    "refrigerator": "refrigerator", "remote": "remote control", "sandwich": "cheeseburger", "sink": "washbasin",
    "skis": "ski", "spoon": "ladle", "sports ball": "baseball", "stop sign": "street sign", "teddy bear": "teddy bear",
    "tennis racket": "racket", "tie": "bolo tie", "toaster": "toaster", "toilet": "toilet seat",
    "traffic light": "traffic light", "truck": "fire engine", "tv": "monitor", "umbrella": "umbrella", "vase": "vase",
    "wine glass": "goblet", "zebra": "zebra",
}  # fmt: skip
# COCO's names of VOC's classes: the same things, so the same ids
SAME = {
    "airplane": "aeroplane", "couch": "sofa", "dining table": "diningtable", "motorcycle": "motorbike",
    "potted plant": "pottedplant", "tv": "tvmonitor",
}  # fmt: skip
# those of COCO's eighty that ILSVRC has nothing of
WITHOUT = {
    "person", "fire hydrant", "giraffe", "suitcase", "frisbee", "snowboard", "kite", "baseball bat", "baseball glove",
    "skateboard", "surfboard", "fork", "carrot", "donut", "cake", "scissors", "toothbrush",
}  # fmt: skip


def coco_classes() -> list[str]:
    """COCO's eighty, as its annotation files spell them."""
    text = (resources.files("tagseg") / "resources/published/table8_coco_val.csv").read_text(encoding="utf-8")
    names = [row["class"] for row in csv.DictReader(text.splitlines())][1:-1]
    return ["hair drier" if name == "hair dryer" else name for name in names]


def positions(name: str) -> list[int]:
    """Rows of a classifier that make up a class."""
    place = {wordnet_id: i for i, wordnet_id in enumerate(imagenet_wordnet_ids())}
    return [place[wordnet_id] for wordnet_id in synsets()[name]]


def test_every_id_is_one_of_ilsvrc_s_thousand() -> None:
    ids = [wordnet_id for name in synsets() for wordnet_id in synsets()[name]]
    assert set(ids) <= set(imagenet_wordnet_ids())


def test_no_two_classes_of_voc_share_an_id() -> None:
    ids = [wordnet_id for name in CLASSES for wordnet_id in synsets().get(name, ())]
    assert len(ids) == len(set(ids))


def test_all_classes_of_voc_but_person_and_background_have_ids() -> None:
    assert {name for name in ("background", *CLASSES) if not synsets().get(name)} == {"background", "person"}


def test_no_two_classes_of_coco_share_an_id() -> None:
    ids = [wordnet_id for name in coco_classes() for wordnet_id in synsets().get(name, ())]
    assert len(ids) == len(set(ids))


def test_the_classes_of_coco_without_ids_are_known() -> None:
    assert {name for name in coco_classes() if not synsets().get(name)} == WITHOUT


def test_every_row_is_of_a_class_of_voc_or_coco() -> None:
    """A slip of spelling would be a row that no data set ever looks for."""
    assert set(synsets()) <= {*CLASSES, *coco_classes()}


def test_a_class_under_two_names_has_the_same_ids() -> None:
    assert {name: synsets()[name] for name in SAME} == {name: synsets()[other] for name, other in SAME.items()}
    shared = {i for name in synsets() if name not in CLASSES and name not in SAME for i in synsets()[name]}
    assert not shared & {i for name in CLASSES for i in synsets().get(name, ())}


def test_every_row_s_first_id_is_checked() -> None:
    assert set(FIRST) == {name for name in synsets() if synsets()[name]}


@pytest.mark.parametrize("name", FIRST)
def test_ids_mean_what_the_class_says(name: str) -> None:
    assert FIRST[name] in ImageNetInfo("imagenet-1k").label_name_to_description(synsets()[name][0])


def test_families_are_there_whole() -> None:
    """ILSVRC's order follows WordNet's tree: each family is a few runs of rows."""
    assert positions("bird") == [*range(7, 25), *range(80, 101), *range(127, 147)]
    assert positions("dog") == list(range(151, 269))  # wild dogs follow
    assert positions("bear") == list(range(294, 298))
    assert positions("cat") == list(range(281, 286))  # wild cats follow


@pytest.mark.parametrize(
    ("name", "ids"),
    [
        ("dog", synsets()["dog"]),
        ("Dining_Table", synsets()["dining table"]),
        ("golden retriever", ("n02099601",)),
        ("Coffee-Mug", ("n03063599",)),
        ("crane", ()),  # a bird or a machine: ILSVRC has both
        ("kite", ()),  # a bird or a toy: ILSVRC has the bird, COCO the toy
        ("gizmo", ()),
        ("", ()),
    ],
)
def test_a_class_finds_ilsvrc_s_by_its_name(name: str, ids: tuple[str, ...]) -> None:
    assert synsets_of(name) == ids
