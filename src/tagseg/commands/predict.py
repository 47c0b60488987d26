"""Label any photographs with a trained model."""

import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field

from tagseg.commands.gathering import gather, lines_of
from tagseg.config.arguments import POSITIONAL, WRITTEN, Model, Threads
from tagseg.config.masks import Crf, PredictionCrfSettings, RegionSettings
from tagseg.config.networks import InferenceMachine
from tagseg.images.formats import unread_line


def run(
    model: Model,
    images: Annotated[
        list[str], POSITIONAL, Field(description="Photographs, folders of them, or - for a list on standard input")
    ],
    output: Annotated[Path, WRITTEN, Field(description="Folder to write to")],
    smoothing: PredictionCrfSettings,
    regions: RegionSettings,
    machine: InferenceMachine,
    *,
    crf: Annotated[
        Crf, Field(description="Smooth with a dense CRF; higher_order: and regions, made on the fly")
    ] = "none",
    classes: Annotated[
        str | None,
        Field(description="Known tags, for all photographs: only these classes (dog,person) and background may win"),
    ] = None,
    tags: Annotated[
        Path | None, Field(description="Known tags of each photograph: a table of image,tags, as of init")
    ] = None,
    overlay: Annotated[bool, Field(description="Also write NAME.overlay.jpg, the photograph under colours")] = True,
    scores: Annotated[bool, Field(description="Also write NAME.npz, the network's scores, float16")] = False,
    skip_existing: Annotated[bool, Field(description="Leave what the same command made before")] = False,
    threads: Threads = 1,
) -> None:
    """Label any photographs with a trained model.

    For each there is a label map `NAME.png` in the folder `output`; `summary.csv` lists what was found. A photograph
    that fails does not stop the others: it is named on standard error, and the exit status is 1.
    """
    listed = lines_of(sys.stdin) if "-" in images else []
    unread: list[str] = []
    photographs = gather(images, listed, unread)
    # imported here, once it is known that there are photographs: torch takes three seconds
    from tagseg.commands.label_files import Outputs
    from tagseg.commands.labelling import Smoothing, label_photographs

    outputs = Outputs(output, overlay, scores)
    results = label_photographs(
        model,
        photographs,
        outputs,
        Smoothing(crf, smoothing, regions),
        machine,
        classes=classes,
        tags=tags,
        skip_existing=skip_existing,
        threads=threads,
        unread=unread,
    )
    failed = [result for result in results if result.failure]
    skipped = sum(result.skipped for result in results)
    counts = f"{len(results) - len(failed) - skipped} done, {skipped} skipped, {len(failed)} failed"
    print(f"{counts}{f', {len(unread)} not read' if unread else ''}; in {output}, see {outputs.summary}")
    if unread:
        print(f"tagseg: {unread_line(unread)}", file=sys.stderr)
    for result in failed:
        print(f"tagseg: {result.photograph.path}: {result.failure}", file=sys.stderr)
    if failed:
        raise SystemExit(1)
