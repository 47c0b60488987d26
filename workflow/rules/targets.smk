"""Check the requested targets before anything is planned: one that no rule makes gets a one-line error.

Snakemake itself would raise a MissingRuleException, which does not mention data sets.
"""

import difflib
import os

from snakemake.cli import get_argument_parser


def requested_targets():
    """The targets on the command line, which Snakemake itself gives to the workflow only after reading it."""
    started = Path(sys.argv[0])
    if started.stem != "snakemake" and started.parts[-2:] != ("snakemake", "__main__.py"):
        return []  # another program, which uses Snakemake as a library
    words = sys.argv[1:]
    if not any("results" in word for word in words):
        return []
    return get_argument_parser().parse_args(words).targets or []


def check_targets(targets):
    """Raise WorkflowError for the first target below results/ that no rule makes."""
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
    """The error for a data set that the configuration lacks, naming a file in config/ that defines it, if any."""
    known = ", ".join(CONFIG.datasets)
    file = ROOT / "config" / f"{dataset}.yaml"
    line = f"{target}: no data set {dataset!r} in this configuration, which has {known}; "
    if not file.is_file():
        return f"{line}correct the name, or define it under datasets"
    shown = file.relative_to(ROOT) if Path.cwd() == ROOT else file
    return f"{line}add its own: snakemake {shlex.quote(target)} --configfile {shlex.quote(str(shown))}"


def unknown_file(target, name, makers):
    """The error for a file that no rule makes, with those that can be made."""
    patterns = (re.sub(r"\{(\w+),[^}]*\}", r"{\1}", str(file)) for maker in makers for file in maker.output)
    files = {p.removeprefix("results/{dataset}/") for p in patterns if p.startswith("results/{dataset}/")}
    tables = {"{table}.csv": ("miou", "ablation", "masks"), "{table}.png": ("miou", "ablation")}
    files |= {file.replace("{table}", table) for file, names in tables.items() for table in names}
    files = sorted(files - set(tables))
    close = difflib.get_close_matches(name, files, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    top = ", ".join(file for file in files if "/" not in file)
    return f"{target}: no such target; {meant}there are {top}; and in folders those that workflow/Snakefile lists"


# A workflow that uses this one as a module may have targets of its own.
if len(workflow.modifier_stack) == 1:
    check_targets(requested_targets())
