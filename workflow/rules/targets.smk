"""What was asked for, looked at before anything is planned: a target that nothing makes gets one line.

Left to Snakemake it would be a MissingRuleException, which says nothing of data sets.
"""

import difflib
import os

from snakemake.cli import get_argument_parser


def asked_for():
    """The targets on the command line. Snakemake itself hands them to the workflow only when it has been read."""
    started = Path(sys.argv[0])
    if started.stem != "snakemake" and started.parts[-2:] != ("snakemake", "__main__.py"):
        return []  # another program, which uses Snakemake as a library
    words = sys.argv[1:]
    if not any("results" in word for word in words):
        return []
    return get_argument_parser().parse_args(words).targets or []


def check_targets(targets):
    """Raise WorkflowError for the first target below results/ that nothing makes."""
    makers = list(workflow.rules)
    for target in targets:
        parts = Path(os.path.relpath(target)).parts
        if parts[:1] != ("results",) or len(parts) == 1:
            continue
        if parts[1] not in CONFIG.datasets:
            raise WorkflowError(unknown_dataset(target, parts[1]))
        if not any(maker.is_producer("/".join(parts)) for maker in makers):
            raise WorkflowError(unknown_file(target, "/".join(parts[2:]), makers))


def unknown_dataset(target, dataset):
    """The line on a data set that this configuration does not have; where a file beside it defines one, its name."""
    known = ", ".join(CONFIG.datasets)
    file = ROOT / "config" / f"{dataset}.yaml"
    line = f"{target}: no data set {dataset!r} in this configuration, which has {known}; "
    if not file.is_file():
        return f"{line}correct the name, or define it under datasets"
    shown = file.relative_to(ROOT) if Path.cwd() == ROOT else file
    return f"{line}add its own: snakemake {shlex.quote(target)} --configfile {shlex.quote(str(shown))}"


def unknown_file(target, name, makers):
    """The line on a file that nothing makes, with those that are made."""
    patterns = (re.sub(r"\{(\w+),[^}]*\}", r"{\1}", str(file)) for maker in makers for file in maker.output)
    files = {p.removeprefix("results/{dataset}/") for p in patterns if p.startswith("results/{dataset}/")}
    tables = {"{table}.csv": ("miou", "ablation", "masks"), "{table}.png": ("miou", "ablation")}
    files |= {file.replace("{table}", table) for file, names in tables.items() for table in names}
    files = sorted(files - set(tables))
    close = difflib.get_close_matches(name, files, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    top = ", ".join(file for file in files if "/" not in file)
    return f"{target}: no such target; {meant}there are {top}; and in folders those that workflow/Snakefile lists"


# what nothing here makes, another workflow may make that has this one as a module
if len(workflow.modifier_stack) == 1:
    check_targets(asked_for())
