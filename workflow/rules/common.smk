"""Helpers of the rules: where things lie, and which settings a stage is handed."""

import functools
import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from tagseg.artifacts.disk import explained
from tagseg.config.data import FolderData
from tagseg.config.masks import (
    CRF_SETTINGS,
    PRIOR_SETTINGS,
    CrispSettings,
    PairwiseMaskSettings,
    RegressionSettings,
    SampleSettings,
    WeightSettings,
)
from tagseg.config.networks import InferenceMachine, TrainingMachine
from tagseg.config.parsing import flags, parse_config
from tagseg.datasets.layouts import LAYOUTS
from tagseg.datasets.shapes import TARGETS
from tagseg.datasets.voc import other_classes
from tagseg.datasets.watching import content, state
from tagseg.errors import TagsegError
from tagseg.networks.sources import no_such_file

# The repository, told from this file: the main Snakefile may be the one in its root, or workflow/Snakefile.
ROOT = Path(workflow.current_basedir).resolve().parents[1]

try:
    CONFIG = parse_config(config)
    for block, settings in CONFIG.datasets.items():
        if settings.published == "voc" and settings.data.kind == "voc" and other_classes(settings.data):
            raise TagsegError(
                f"config: datasets.{block}.published: voc, but its classes are not VOC's "
                f"({other_classes(settings.data)}); set published: none"
            )
except TagsegError as error:
    raise WorkflowError(str(error)) from None


# Of rules that run a network. They are among a rule's resources and not its params: where a network runs, and how often
# its training is saved, is no reason to run it again.
GPUS = 1 if CONFIG.device == "cuda" else 0
THREADS = 1 + CONFIG.loaders
# What is written to be read once more by the run itself.
unless_kept = (lambda path: path) if CONFIG.keep_maps else temp
TRAINING = flags(CONFIG.part(TrainingMachine))
INFERENCE = flags(CONFIG.part(InferenceMachine))
ENVIRONMENT = "../../envs/gpu.yaml" if CONFIG.device == "cuda" else "../../envs/cpu.yaml"
# `tagseg` in a rule is this interpreter's; in a conda environment, which holds what the package needs but not the
# package itself, it is that environment's interpreter on the code beside the workflow.
if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    PYTHON = f"PYTHONPATH={shlex.quote(str(ROOT / 'src'))} python"
else:
    PYTHON = shlex.quote(sys.executable)
# Waiting threads that spin slow every other job of the machine down. A stage ends with this process, its shell's parent.
shell.prefix(f'tagseg() {{{{ {PYTHON} -m tagseg "$@"; }}}}; export OMP_WAIT_POLICY=passive TAGSEG_MASTER=$PPID; ')


wildcard_constraints:
    dataset="|".join(CONFIG.datasets),
    prior="fgbg|localization|multiclass",
    crf="none|pairwise|higher_order",
    experiment=r"\w+",
    split=r"\w+",
    shard=r"\d{3}",


def run_of(wildcards):
    """The configuration of the data set."""
    return CONFIG.datasets[wildcards.dataset]


def experiment_of(wildcards):
    """The experiment that a path names. An unknown one is an error that lists the known."""
    experiments = run_of(wildcards).experiments
    if wildcards.experiment not in experiments:
        raise WorkflowError(
            f"{wildcards.experiment!r} is no experiment of {wildcards.dataset}: {', '.join(experiments)}"
        )
    return experiments[wildcards.experiment]


def shards_of(run):
    """The names of a data set's pieces: 000, 001, ..."""
    return [f"{i:03d}" for i in range(run.shards)]


def section(name, kind=None):
    """Params function: the command-line options of one group of settings, or of the part that a stage reads of it."""

    def options(wildcards):
        settings = getattr(run_of(wildcards), name)
        return flags(settings.part(kind) if kind else settings)

    return options


def shard_options(wildcards):
    """Which piece of the data set, and of how many."""
    return f"--shard {int(wildcards.shard)} --shards {run_of(wildcards).shards}"


def seed_option(wildcards):
    """The seed of training and initialisation."""
    return f"--seed {run_of(wildcards).seed}"


def repeated(option, values):
    """An option that is given once for each of several values, and once for all shards of a folder: FOLDER/{000..127}.h5.

    The system takes no line of more than 128 KB, which the names of some hundred shards can be.
    """
    shards = {}  # by what stands before and behind their numbers
    for value in map(str, values):
        found = re.fullmatch(r"(.*/)(\d{3})(\.h5)", value) or (value, value, "", "")
        shards.setdefault((found[1], found[3]), []).append(found[2])
    ranges = {
        (before, behind): f"{{{numbers[0]}..{numbers[-1]}}}" if len(numbers) > 1 else numbers[0]
        for (before, behind), numbers in shards.items()
    }
    return " ".join(f"{option} {shlex.quote(before + middle + behind)}" for (before, behind), middle in ranges.items())


def source_kind(wildcards):
    """The subcommand that reads the data set's layout: the demo's is that of an own folder."""
    kind = run_of(wildcards).data.kind
    return "folder" if kind == "shapes" else kind


def source_of(wildcards):
    """The settings that the data set is read by: the demo's are those of an own folder."""
    data = run_of(wildcards).data
    if data.kind == "shapes":
        return FolderData(root=f"results/{wildcards.dataset}/data", classes=list(TARGETS))
    return data


def source_options(wildcards):
    """Where the data set lies, and how it is to be read."""
    return flags(source_of(wildcards))


def index_options(wildcards):
    """Those of them that the index depends on."""
    data, part = source_of(wildcards), layout_of(wildcards).index_settings
    return flags(data.part(part) if part else data)


def truth_options(wildcards):
    """The others. The rule of the index checks masks and makes nothing of them, so they are no params of it."""
    return flags(source_of(wildcards).part(layout_of(wildcards).truth_settings))


def file_state(which):
    """Params function: a digest of the sizes of the photographs, or masks, that a data set on disk has now.

    It is no option of the stage. It is there so that a replaced file is noticed, which no list of inputs is fit for: it
    would be as long as the data set. The demo's files are made by a rule, and need none.
    """

    @functools.cache
    def of(dataset):
        data = CONFIG.datasets[dataset].data
        return "" if data.kind == "shapes" else state(getattr(LAYOUTS[data.kind], which)(data))

    return lambda wildcards: of(wildcards.dataset)


@functools.cache
def tables_of(dataset):
    """A digest of the lists and tables that an index is made of: their content, or of a very large one its size."""
    data = CONFIG.datasets[dataset].data
    files = [] if data.kind == "shapes" else [path for path in LAYOUTS[data.kind].sources(data) if path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    return " ".join(content(path) if size < 1 << 26 else str(size) for path, size in sizes.items())


def source_state(wildcards):
    """Params function: what is in the tables of a data set, so that one replaced by an older file is noticed."""
    return tables_of(wildcards.dataset)


@functools.cache
def content_of(file):
    """A digest of a weight file's content. One that is not there is an error: what it gave is not thrown away."""
    if not file.is_file():
        raise WorkflowError(no_such_file(file))
    try:
        return content(file)
    except OSError as error:
        raise WorkflowError(str(explained(error, file))) from None


def weight_state(wildcards):
    """Params function: what is in the file that the network's weights are read from, if it is one of the user's.

    It is no option of the stage. It is there so that a file replaced in its place is noticed.
    """
    file = run_of(wildcards).network.weight_file
    return "" if file is None else content_of(file)


def layout_of(wildcards):
    """How the data set is read: the demo's layout is that of an own folder."""
    return LAYOUTS[source_kind(wildcards)]


def localization_options(wildcards):
    """The localization settings that count in the chosen mode."""
    return flags(run_of(wildcards).localization.that_count())


def prior_options(wildcards):
    """The settings that this prior's maps depend on."""
    return flags(run_of(wildcards).priors.part(PRIOR_SETTINGS[wildcards.prior]))


def crf_options(maps):
    """Params function: those of the CRF's settings that count for maps of one kind; none where no CRF is run."""

    def options(wildcards):
        return flags(run_of(wildcards).crf.part(CRF_SETTINGS[maps, wildcards.crf]))

    return options


def region_option(files):
    """The option that hands a stage what `regions_behind` named."""
    return f"--regions {files.regions}" if "regions" in files.keys() else ""


def maps_options(input):
    """The options that hand `maps_behind` to the stage."""
    return " ".join(f"--{kind} {input[kind]}" for kind in ("activations", "cams") if kind in input.keys())


def experiment_options(wildcards):
    """What the loss and the head of an experiment are."""
    experiment = experiment_of(wildcards)
    return f"--mask {experiment.mask} --fov {experiment.fov}"


def experiment_facts(wildcards):
    """What a row of a table says of an experiment."""
    experiment = experiment_of(wildcards)
    facts = {
        "experiment": wildcards.experiment,
        **experiment.model_dump(),
        "smoothing": wildcards.crf,
        "recipe": run_of(wildcards).recipe_name(),
    }
    return repeated("--fact", [f"{key}={value}" for key, value in facts.items()])


# The part of the training images that Table 4 is of; `train_tenth.json` is its evaluation.
TABLE4_PART = "train_tenth"


def mask_facts(wildcards):
    """What a row of masks.csv says of masks."""
    facts = {"prior": wildcards.prior, "crf": wildcards.crf, "recipe": run_of(wildcards).recipe_name()}
    return repeated("--fact", [f"{key}={value}" for key, value in facts.items()])


def mask_protocol(wildcards):
    """How masks are evaluated: those of fgbg against any foreground; Table 4's are of a random tenth of train."""
    protocol = "foreground" if wildcards.prior == "fgbg" else "classes"
    part = "train --sample 0.1" if wildcards.split == TABLE4_PART else wildcards.split
    return f"--split {part} --protocol {protocol}"


def map_options(files):
    """`--prediction NAME/CRF=FILE` for each of `headline_maps`: the name is the experiment's folder."""
    names = [(Path(file).parts[-3], Path(file).parts[-2].removeprefix("val-"), file) for file in files]
    return repeated("--prediction", [f"{name}/{crf}={file}" for name, crf, file in names])


def file_options(*names, **levels):
    """Params function: the options that hand a stage the inputs of these names, and its outputs.

    An option is named as the input. An input that `levels` names is given as NAME=FILE, where NAME is that of the folder
    so many levels above the file.
    """

    def options(wildcards, input, output):
        parts = []
        for name in (*names, *levels):
            files = [input[name]] if isinstance(input[name], str) else input[name]
            if name in levels:
                files = [f"{Path(file).parts[-1 - levels[name]]}={file}" for file in files]
            parts.append(repeated(f"--{name.replace('_', '-')}", files))
        return " ".join([*parts, repeated("--output", output)])

    return options
