"""Commands are made of what is read from their files; that must be what the files define."""

import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import tagseg
from tagseg.cli.signatures import docstring, read_signature

PACKAGE = Path(tagseg.__file__).parent
FILES = sorted(file for room in ("stages", "commands") for file in (PACKAGE / room).rglob("*.py") if docstring(file))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_the_signature_is_the_function_s_own(file: Path) -> None:
    run = import_module(".".join(("tagseg", *file.relative_to(PACKAGE).with_suffix("").parts))).run
    assert str(read_signature(file).parameters) == str(inspect.signature(run).parameters)
    assert docstring(file) == inspect.getdoc(run)


def test_every_stage_is_a_command() -> None:
    assert len(FILES) > 40
    without = {file.name for file in (PACKAGE / "stages").rglob("*.py") if docstring(file) is None}
    assert without == {"__init__.py"}


@pytest.mark.parametrize("words", ["--help", "extract --help", "figure foreground --help", "predict --help"])
def test_help_does_not_wait_for_torch(words: str) -> None:
    code = (
        "import sys\n"
        "from tagseg.cli import main\n"
        f"sys.argv = ['tagseg', *{words.split()!r}]\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "assert not {'torch', 'matplotlib', 'timm'} & set(sys.modules), 'a heavy library was loaded'\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
