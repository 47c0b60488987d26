"""Recognise JSON files of other formats that are given by mistake in place of COCO's."""

from typing import Any

_VIA = "a VGG Image Annotator file; export it from there as COCO JSON"


def recognise(content: Any) -> str:
    """What a JSON document that is not COCO's seems to be, and how to convert it; '' if unknown."""
    if isinstance(content, list):
        return _of_list(content)
    if not isinstance(content, dict):
        return f"a single {_kind(content)}; give an instances_*.json file"
    if "shapes" in content and ("imagePath" in content or "imageData" in content):
        return "a LabelMe file of one photograph; convert the whole folder of them to one COCO JSON (labelme2coco)"
    if "_via_img_metadata" in content or "_via_settings" in content:
        return _VIA
    if content.get("type") == "FeatureCollection":
        return "GeoJSON; export the annotations as COCO JSON"
    if isinstance(content.get("items"), list) and "categories" in content:
        return "a Datumaro file; export the project as COCO instances"
    values = [value for value in content.values() if isinstance(value, dict)]
    if values and all("filename" in value and "regions" in value for value in values):
        return _VIA
    if "annotations" in content and "categories" not in content and _any(content["annotations"], "caption"):
        return "a captions_*.json file of COCO, without objects; give its instances_*.json file"
    if _is_label_studio(content):
        return "a Label Studio task; export the project as COCO"
    if "images" not in content and content and all(_are_texts(value) for value in content.values()):
        return "a table of tags; use it with kind folder"
    return ""


def _of_list(content: list[Any]) -> str:
    entries = [entry for entry in content if isinstance(entry, dict)]
    if _any(entries, "image_id") and _any(entries, "category_id"):
        if _any(entries, "score"):
            return "a results file, a list of detections; give the instances_*.json file that they were made for"
        return "a list of annotations alone; give the whole file, with images and categories"
    if any(_is_label_studio(entry) for entry in entries):
        return "a Label Studio export in its own JSON; export the project as COCO"
    if _any(entries, "image") and _any(entries, "annotations"):
        return "a CreateML file; export the annotations as COCO JSON"
    if _any(entries, "image") and _any(entries, "tags"):
        return "a table of tags; use it with kind folder"
    if _any(entries, "Labeled Data") or _any(entries, "data_row"):
        return "a Labelbox export; convert it to COCO JSON"
    return "a list; give an instances_*.json file, which is an object with images, annotations and categories"


def _is_label_studio(entry: dict[str, Any]) -> bool:
    return isinstance(entry.get("data"), dict) and ("annotations" in entry or "completions" in entry)


def _any(entries: Any, key: str) -> bool:
    return isinstance(entries, list) and any(isinstance(entry, dict) and key in entry for entry in entries)


def _are_texts(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


def _kind(value: Any) -> str:
    return {str: "text", bool: "true or false", type(None): "null"}.get(type(value), "number")
