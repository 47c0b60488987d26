"""The keys of a block's `data`: a class for each kind of data set, told apart by `kind`. `Data` joins them."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tagseg.config.names import plain, printable

Part = TypeVar("Part", bound="Settings")


class Settings(BaseModel):
    """A group of keys. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def part(self, kind: "type[Part]") -> "Part":
        """The values of `kind`, a class that this one inherits from: the part of a group that one stage reads."""
        return kind(**{name: getattr(self, name) for name in kind.model_fields})


class ShapesData(Settings):
    """The embedded demo: scenes of textured shapes, generated from a seed, with exact masks for evaluation."""

    kind: Literal["shapes"] = "shapes"
    seed: int = Field(0, description="Seed of the scenes")
    train: int = Field(600, ge=1, description="Number of training scenes")
    val: int = Field(150, ge=1, description="Number of evaluation scenes")
    size: int = Field(80, ge=48, description="Side of a scene in pixels")


MOST_CLASSES = 254  # labels of a mask are bytes: 0 is background, 255 is ignored
CLASS_FOLDERS = "folders"  # in place of a table's name: the photographs lie in folders named after their class
LeaveOut = Annotated[list[str], Field(description="Ids of images to leave out of everything, such as broken ones")]


def class_names_fault(names: list[str]) -> str:
    """What is wrong with a list of class names, and the remedy; '' if nothing is."""
    for i, name in enumerate(names):
        if name in names[:i]:
            return f"class {name!r} is listed twice; name each class once"
        if name == "background":
            return "classes lists 'background', which every image has; take it out"
        if not name.strip() or not printable(name) or ";" in name:
            return f"class {name!r}: a name needs letters, and no ';' or line break; rename it"
    if len(names) > MOST_CLASSES:
        return f"{len(names)} classes; a mask has room for {MOST_CLASSES}; drop some"
    return ""


def _plain_names(names: list[str]) -> list[str]:
    return [plain(name) for name in names]


def _check_classes(settings: Any) -> Any:
    if what := class_names_fault(settings.classes):
        raise ValueError(what)
    return settings


class FolderPhotographs(Settings):
    """The keys of a folder of your own that its index depends on."""

    root: Path = Field(description="Folder that the paths below are relative to")
    images: str = Field("images", description="Folder of the photographs, searched at any depth")
    tags: str = Field(
        "tags.csv",
        description="Table of tags (.csv, .tsv, .json, .jsonl or .xlsx), or folders: photographs lie in class folders",
    )
    classes: list[str] = Field([], description="Class names in order, without background; empty: those in the tags")
    leave_out: LeaveOut = []

    _plain_classes = field_validator("classes")(_plain_names)
    _valid_classes = model_validator(mode="after")(_check_classes)


class FolderTruth(Settings):
    """The keys of a folder of your own that evaluation alone reads."""

    masks: str = Field("masks", description="Folder of masks to evaluate on, if there is one; '': none")
    foreground: int = Field(
        0,
        ge=0,
        le=65535,
        description="Value (such as 255) of masks with two values, 0 for background and this one for the class of the "
        "photograph's only tag; 0: masks hold labels",
    )


class FolderData(FolderPhotographs, FolderTruth):
    """A folder of your own: photographs, their tags and, for evaluation only, masks if there are any."""

    kind: Literal["folder"] = "folder"


class VocData(Settings):
    """A Pascal VOC devkit tree, alone or with the masks of SBD, or your own data in that format."""

    kind: Literal["voc"] = "voc"
    root: Path = Field(description="The devkit's VOC2012 folder")
    train: str = Field(
        "train_aug",
        description="List of training images under ImageSets/Segmentation; train_aug is derived if it is missing",
    )
    val: str = Field("val", description="List of evaluation images under ImageSets/Segmentation; '': none")
    test: str = Field("test", description="List of images to predict that have no truth, if there is one; '': none")
    classes: list[str] = Field(
        [],
        description="Your own class names in the order of the masks' labels, without background; empty: those of "
        "labelmap.txt, class_names.txt or labels.txt in the root, or else VOC's twenty",
    )
    masks: str = Field("SegmentationClassAug", description="Folder of PNG masks under the root; '': none")
    sbd: str = Field("", description="SBD's benchmark_RELEASE/dataset, for images without a PNG mask; '': none")
    tags: Literal["masks", "annotations", "table"] = Field(
        "masks", description="Where tags come from: the masks' classes (the paper), Annotations/*.xml, or tags_table"
    )
    tags_table: str = Field("", description="With tags: table, a .csv, .tsv, .json, .jsonl or .xlsx of image,tags")
    leave_out: LeaveOut = []

    _plain_classes = field_validator("classes")(_plain_names)
    _valid_classes = model_validator(mode="after")(_check_classes)

    @model_validator(mode="after")
    def _has_masks_to_read_tags_from(self) -> Self:
        if self.tags == "masks" and not (self.masks or self.sbd):
            raise ValueError("tags: masks reads them from the masks; set masks or sbd, or tags to annotations or table")
        return self

    @model_validator(mode="after")
    def _has_table_to_read_tags_from(self) -> Self:
        if (self.tags == "table") != bool(self.tags_table):
            raise ValueError("tags: table and tags_table go together; give both or neither")
        return self


class CocoData(Settings):
    """Microsoft COCO, or other data annotated in `instances_*.json` files of that format."""

    kind: Literal["coco"] = "coco"
    root: Path = Field(description="Folder that the paths below are relative to")
    train: str = Field("annotations/instances_train2014.json", description="Annotations of the training images")
    train_images: str = Field("train2014", description="Folder of the training images")
    val: str = Field("annotations/instances_val2014.json", description="Annotations of the evaluation images; '': none")
    val_images: str = Field("val2014", description="Folder of the evaluation images")
    val_share: float = Field(
        0.0, ge=0, lt=1, description="If val is '': share of the training images for val, chosen by a hash of their ids"
    )
    leave_out: LeaveOut = []

    @model_validator(mode="after")
    def _one_source_of_val(self) -> Self:
        if self.val and self.val_share:
            raise ValueError("val and val_share both say what to evaluate on; set val to '' or val_share to 0")
        return self


class YoutubeObjectsData(Settings):
    """YouTube-Objects: video frames in ten class folders, and masks of some shots."""

    kind: Literal["youtube_objects"] = "youtube_objects"
    root: Path = Field(description="Folder of the ten class folders: CLASS/VIDEO/SHOT/*.jpg")
    masks: str = Field("", description="Folder of the labelled shots, for evaluation; '': none")
    per_class: int = Field(2200, ge=1, description="Training frames per class, spread evenly over its videos")
    leave_out: LeaveOut = []


# Data sets that lie on disk. The demo's files are generated, and then read as a folder of one's own.
DiskData = FolderData | VocData | CocoData | YoutubeObjectsData
Data = Annotated[ShapesData | DiskData, Field(discriminator="kind")]
DISK_KINDS: dict[str, type[DiskData]] = {data.model_fields["kind"].default: data for data in get_args(DiskData)}
