"""The table of ILSVRC's synsets: real ids, each class's own, and the families that it names whole."""

import pytest
from timm.data import ImageNetInfo

from tagseg.datasets.voc import CLASSES
from tagseg.networks.classes import synsets
from tagseg.networks.weights import imagenet_wordnet_ids

# a word of the description of a class's first synset, as WordNet has it
FIRST = {
    "aeroplane": "airliner", "bicycle": "bicycle-built-for-two", "bird": "cock", "boat": "canoe",
    "bottle": "beer bottle", "bus": "minibus", "car": "beach wagon", "cat": "tabby", "chair": "barber chair",
    "cow": "ox", "diningtable": "dining table", "dog": "Chihuahua", "horse": "sorrel", "motorbike": "moped",
    "pottedplant": "flowerpot", "sheep": "ram", "sofa": "studio couch", "train": "bullet train", "tvmonitor": "monitor",
}  # fmt: skip


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


@pytest.mark.parametrize("name", FIRST)
def test_ids_mean_what_the_class_says(name: str) -> None:
    assert FIRST[name] in ImageNetInfo("imagenet-1k").label_name_to_description(synsets()[name][0])


def test_families_are_there_whole() -> None:
    """ILSVRC's order follows WordNet's tree: each family is a few runs of rows."""
    assert positions("bird") == [*range(7, 25), *range(80, 101), *range(127, 147)]
    assert positions("dog") == list(range(151, 269))  # wild dogs follow
    assert positions("cat") == list(range(281, 286))  # wild cats follow
