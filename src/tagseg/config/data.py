"""The keys of a block's `data`: a class for each kind of data set, told apart by `kind`. Joined in `config.py`."""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tagseg.config.names import plain, printable

Part = TypeVar("Part", bound="Settings")


class Settings(BaseModel):
    """A group of keys. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def part(self, kind: "type[Part]") -> "Part":
        """The settings of a class that this one is made of: what one stage reads of a group."""
        return kind(**{name: getattr(self, name) for name in kind.model_fields})


class ShapesData(Settings):
    """The embedded demo: scenes of textured shapes, made from a seed, with exact masks for evaluation."""

    kind: Literal["shapes"] = "shapes"
    seed: int = Field(0, description="Seed of the world")
    train: int = Field(600, ge=1, description="Training scenes")
    val: int = Field(150, ge=1, description="Scenes kept for evaluation")
    size: int = Field(80, ge=48, description="Side of a scene in pixels")


MOST_CLASSES = 254  # labels of a mask are bytes: 0 is background, 255 is ignored
CLASS_FOLDERS = "folders"  # in the place of a table's name: the photographs lie in folders called like their class
LeaveOut = Annotated[list[str], Field(description="Ids of images to use nowhere: broken ones, for instance")]


def wrong_class_names(names: list[str]) -> str:
    """What is wrong with a list of class names, and the remedy; nothing where it is sound."""
    for i, name in enumerate(names):
        if name in names[:i]:
            return f"class {name!r} is listed twice; name each class once"
        if name == "background":
            return "classes has 'background', every image's own class; take it out"
        if not name.strip() or not printable(name) or ";" in name:
            return f"class {name!r}: a name has letters, and no ';' or line break; rename it"
    if len(names) > MOST_CLASSES:
        return f"{len(names)} classes; a mask has room for {MOST_CLASSES}; drop some"
    return ""


class FolderPhotographs(Settings):
    """Of an own folder, what its index is made of."""

    root: Path = Field(description="Folder that the paths below are under")
    images: str = Field("images", description="Folder of the photographs, in folders of any depth")
    tags: str = Field(
        "tags.csv",
        description="Table of tags: .csv, .tsv, .json, .jsonl or .xlsx; folders: photographs lie in folders of classes",
    )
    classes: list[str] = Field([], description="Class names in order, without background; empty: found in the tags")
    leave_out: LeaveOut = []

    @field_validator("classes")
    @classmethod
    def _one_spelling(cls, names: list[str]) -> list[str]:
        return [plain(name) for name in names]

    @model_validator(mode="after")
    def _classes_that_can_be(self) -> Self:
        if what := wrong_class_names(self.classes):
            raise ValueError(what)
        return self


class FolderTruth(Settings):
    """Of an own folder, what evaluation alone reads."""

    masks: str = Field("masks", description="Folder of masks to evaluate on, where there is one; '': none")
    foreground: int = Field(
        0,
        ge=0,
        le=65535,
        description="Of masks in two values, 0 and this one (255, say), which is what the photograph's one tag says; "
        "0: masks hold labels",
    )


class FolderData(FolderPhotographs, FolderTruth):
    """An own folder: photographs, their tags and, for evaluation only, perhaps masks."""

    kind: Literal["folder"] = "folder"


class VocData(Settings):
    """A Pascal VOC devkit tree, alone or with the masks of SBD, or own data in its form."""

    kind: Literal["voc"] = "voc"
    root: Path = Field(description="The devkit's VOC2012 folder")
    train: str = Field(
        "train_aug",
        description="List of training images under ImageSets/Segmentation; train_aug is derived where it is not there",
    )
    val: str = Field("val", description="List of evaluation images under ImageSets/Segmentation; '': none")
    test: str = Field("test", description="List of images without truth to predict, where it is there; '': none")
    classes: list[str] = Field(
        [],
        description="Own class names in the order of the masks' labels, without background; empty: of labelmap.txt, "
        "class_names.txt or labels.txt in the root, or else VOC's twenty",
    )
    masks: str = Field("SegmentationClassAug", description="Folder of PNG masks under the root; '': none")
    sbd: str = Field("", description="SBD's benchmark_RELEASE/dataset, for images without a PNG mask; '': none")
    tags: Literal["masks", "annotations", "table"] = Field(
        "masks", description="Where tags come from: classes in the mask (the paper), Annotations/*.xml, or tags_table"
    )
    tags_table: str = Field("", description="With tags table: .csv, .tsv, .json, .jsonl or .xlsx of image,tags")
    leave_out: LeaveOut = []

    @field_validator("classes")
    @classmethod
    def _one_spelling(cls, names: list[str]) -> list[str]:
        return [plain(name) for name in names]

    @model_validator(mode="after")
    def _masks_where_tags_are_read_from_them(self) -> Self:
        if self.tags == "masks" and not (self.masks or self.sbd):
            raise ValueError("tags: masks reads them from the masks; set masks or sbd, or tags to annotations or table")
        return self

    @model_validator(mode="after")
    def _a_table_where_one_is_read(self) -> Self:
        if (self.tags == "table") != bool(self.tags_table):
            raise ValueError("tags: table and tags_table go together; give both or neither")
        return self

    @model_validator(mode="after")
    def _classes_that_can_be(self) -> Self:
        if what := wrong_class_names(self.classes):
            raise ValueError(what)
        return self


class CocoData(Settings):
    """Microsoft COCO, or anything else that is annotated by `instances_*.json` files of its form."""

    kind: Literal["coco"] = "coco"
    root: Path = Field(description="Folder that the paths below are under")
    train: str = Field("annotations/instances_train2014.json", description="Annotations of the training images")
    train_images: str = Field("train2014", description="Folder of the training images")
    val: str = Field("annotations/instances_val2014.json", description="Annotations to evaluate on; '': none")
    val_images: str = Field("val2014", description="Folder of the images to evaluate on")
    val_share: float = Field(
        0.0, ge=0, lt=1, description="With val '': this part of the training images, by a hash of their ids, is val"
    )
    leave_out: LeaveOut = []

    @model_validator(mode="after")
    def _one_source_of_val(self) -> Self:
        if self.val and self.val_share:
            raise ValueError("val and val_share both say what to evaluate on; set val to '' or val_share to 0")
        return self


class YoutubeObjectsData(Settings):
    """YouTube-Objects: frames of videos in ten class folders, and masks of some shots."""

    kind: Literal["youtube_objects"] = "youtube_objects"
    root: Path = Field(description="Folder of the ten class folders: CLASS/VIDEO/SHOT/*.jpg")
    masks: str = Field("", description="Folder of the labelled shots, to evaluate on; '': none")
    per_class: int = Field(2200, ge=1, description="Training frames a class, spread evenly over its videos")
    leave_out: LeaveOut = []


Data = Annotated[ShapesData | FolderData | VocData | CocoData | YoutubeObjectsData, Field(discriminator="kind")]
# Those whose files lie somewhere; the demo's are made, and then read as an own folder.
DiskData = FolderData | VocData | CocoData | YoutubeObjectsData
DISK_KINDS: dict[str, type[DiskData]] = {
    "folder": FolderData,
    "voc": VocData,
    "coco": CocoData,
    "youtube_objects": YoutubeObjectsData,
}
