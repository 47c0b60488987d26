"""The tutorial, pasted line by line: every block marked `bash`, in a folder that looks like a clone."""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_every_line_of_the_tutorial_works(tmp_path: Path) -> None:
    text = (REPOSITORY / "docs" / "tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 7
    for name in ("Snakefile", "workflow", "profiles", "config.yaml", "envs"):
        (tmp_path / name).symlink_to(REPOSITORY / name)
    bin_folder = tmp_path / "bin"  # `tagseg` and `snakemake` as the virtual environment has them, of this source
    bin_folder.mkdir()
    for name in ("tagseg", "snakemake"):
        (bin_folder / name).write_text(f'#!/bin/sh\nexec {sys.executable} -m {name} "$@"\n', encoding="utf-8")
        (bin_folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "OMP_WAIT_POLICY": "passive"}
    clean_up = blocks.pop()
    for block in blocks:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path, capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
    home = tmp_path / "tutorial"
    assert len(list((home / "masks").glob("*.png"))) == 160
    assert (home / "model.onnx").is_file()
    assert (home / "sheet.png").is_file()
    for i in range(5):
        with Image.open(home / "labels" / f"train_0000{i}.png") as image:
            assert np.asarray(image).any(), "nothing was found in a new picture"
    assert clean_up == "rm -r tutorial\n"
