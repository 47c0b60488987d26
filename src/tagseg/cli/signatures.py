"""Read a command's signature from its file without importing it: torch alone would take three seconds."""

import ast
import inspect
from pathlib import Path
from typing import Any


def docstring(file: Path) -> str | None:
    """The docstring of the `run` in a file; None if there is no `run`."""
    run = _run_of(ast.parse(file.read_bytes()))
    return None if run is None else ast.get_docstring(run) or ""


def read_signature(file: Path) -> inspect.Signature:
    """The signature of the `run` in a file, with annotations and defaults evaluated.

    Only those imports and assignments in the file are executed that they use.
    """
    tree = ast.parse(file.read_bytes(), file)
    run = _run_of(tree)
    assert run is not None, f"{file} has no run"
    wanted = _names(run.args)
    needed: list[ast.stmt] = []
    for statement in reversed(tree.body[: tree.body.index(run)]):
        if kept := _binding(statement, wanted):
            needed.insert(0, kept)
            wanted |= _names(kept)
    bare = ast.parse("def run(): ...").body[0]
    assert isinstance(bare, ast.FunctionDef)
    bare.args = run.args
    scope: dict[str, Any] = {}
    exec(compile(ast.Module([*needed, bare], []), file, "exec"), scope)
    return inspect.signature(scope["run"])


def _run_of(tree: ast.Module) -> ast.FunctionDef | None:
    return next((node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"), None)


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _binding(statement: ast.stmt, wanted: set[str]) -> ast.stmt | None:
    """The part of a statement that binds `wanted` names: an assignment, or an import of these alone; else None."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        names = [alias for alias in statement.names if (alias.asname or alias.name).partition(".")[0] in wanted]
        if not names:
            return None
        if isinstance(statement, ast.Import):
            return ast.copy_location(ast.Import(names), statement)
        return ast.copy_location(ast.ImportFrom(statement.module, names, statement.level), statement)
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return statement if any(isinstance(target, ast.Name) and target.id in wanted for target in targets) else None
