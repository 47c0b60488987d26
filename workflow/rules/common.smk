"""Helpers of the rules: the configuration, and the options and params that a stage is given."""

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
    CRFS,
    PRIOR_SETTINGS,
    PRIORS,
    CrispSettings,
    PairwiseMaskSettings,
    RegressionSettings,
    SampleSettings,
    WeightSettings,
)
from tagseg.config.networks import FeatureDisk, InferenceMachine, TrainingMachine
from tagseg.config.parsing import flags, parse_config, require_unique_keys
from tagseg.datasets.layouts import LAYOUTS
from tagseg.datasets.shapes import TARGETS
from tagseg.datasets.voc import other_classes
from tagseg.datasets.digests import content_digest, size_digest
from tagseg.errors import TagsegError
from tagseg.networks.sources import no_such_file

# The repository, found from this file: the main Snakefile may be the one in its root, or workflow/Snakefile.
ROOT = Path(workflow.current_basedir).resolve().parents[1]

try:
    for file in workflow.configfiles:
        require_unique_keys(Path(file))
    CONFIG = parse_config(config)
    for block, settings in CONFIG.datasets.items():
        if settings.published == "voc" and settings.data.kind == "voc" and other_classes(settings.data):
            raise TagsegError(
                f"config: datasets.{block}.published: voc, but its classes are not VOC's "
                f"({other_classes(settings.data)}); set published: none"
            )
except TagsegError as error:
    raise WorkflowError(str(error)) from None


# For rules that run a network. These are among their resources and not their params, since running a network elsewhere,
# or saving its training more often, is not a reason to run it again.
GPUS = 1 if CONFIG.device == "cuda" else 0
THREADS = 1 + CONFIG.loaders
# Intermediate maps, which only the run itself reads.
intermediate = (lambda path: path) if CONFIG.keep_maps else temp
TRAINING = flags(CONFIG.part(TrainingMachine))
INFERENCE = flags(CONFIG.part(InferenceMachine))
FEATURE_LIMIT = flags(CONFIG.part(FeatureDisk))
ENVIRONMENT = "../../envs/gpu.yaml" if CONFIG.device == "cuda" else "../../envs/cpu.yaml"
# `tagseg` in a rule runs with this interpreter. A conda environment holds what the package needs but not the package;
# its interpreter runs the code beside the workflow.
if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    PYTHON = f"PYTHONPATH={shlex.quote(str(ROOT / 'src'))} python"
else:
    PYTHON = shlex.quote(sys.executable)
# Spinning OpenMP threads would slow down all other jobs. A stage ends with this process, the parent of its shell.
shell.prefix(f'tagseg() {{{{ {PYTHON} -m tagseg "$@"; }}}}; export OMP_WAIT_POLICY=passive TAGSEG_MASTER=$PPID; ')


wildcard_constraints:
    dataset="|".join(CONFIG.datasets),
    prior="|".join(PRIORS),
    crf="|".join(CRFS),
    experiment=r"\w+",
    split=r"\w+",
    shard=r"\d{3}",


def run_of(wildcards):
    """The configuration of the data set."""
    return CONFIG.datasets[wildcards.dataset]


def experiment_of(wildcards):
    """The experiment that a path names. Raises WorkflowError, listing the known ones, if it is unknown."""
    experiments = run_of(wildcards).experiments
    if wildcards.experiment not in experiments:
        raise WorkflowError(
            f"{wildcards.experiment!r} is not an experiment of {wildcards.dataset}: {', '.join(experiments)}"
        )
    return experiments[wildcards.experiment]


def shards_of(run):
    """The names of a data set's shards: 000, 001, ..."""
    return [f"{i:03d}" for i in range(run.shards)]


def section(name, kind=None):
    """Params function: the options for one group of settings, or for the part of it that a stage reads."""

    def options(wildcards):
        settings = getattr(run_of(wildcards), name)
        return flags(settings.part(kind) if kind else settings)

    return options


def shard_options(wildcards):
    """The number of the shard, and how many there are."""
    return f"--shard {int(wildcards.shard)} --shards {run_of(wildcards).shards}"


def seed_option(wildcards):
    """The seed of training and initialisation."""
    return f"--seed {run_of(wildcards).seed}"


def repeated(option, values):
    """An option repeated for each of several values, but given once for all shards of a folder: FOLDER/{000..127}.h5.

    The system limits a command line to 128 KB, which the names of a few hundred shards can exceed.
    """
    shards = {}  # by what precedes and follows their numbers
    for value in map(str, values):
        found = re.fullmatch(r"(.*/)(\d{3})(\.h5)", value) or (value, value, "", "")
        shards.setdefault((found[1], found[3]), []).append(found[2])
    ranges = {
        (before, behind): f"{{{numbers[0]}..{numbers[-1]}}}" if len(numbers) > 1 else numbers[0]
        for (before, behind), numbers in shards.items()
    }
    return " ".join(f"{option} {shlex.quote(before + middle + behind)}" for (before, behind), middle in ranges.items())


def source_kind(wildcards):
    """The subcommand that reads the data set's layout; the demo is read as a folder."""
    kind = run_of(wildcards).data.kind
    return "folder" if kind == "shapes" else kind


def source_of(wildcards):
    """The settings that the data set is read with; the demo is read as a folder."""
    data = run_of(wildcards).data
    if data.kind == "shapes":
        return FolderData(root=f"results/{wildcards.dataset}/data", classes=list(TARGETS))
    return data


def source_options(wildcards):
    """Params function: where the data set lies, and how to read it."""
    return flags(source_of(wildcards))


def index_options(wildcards):
    """Params function: the part of `source_options` that the index depends on."""
    data, part = source_of(wildcards), layout_of(wildcards).index_settings
    return flags(data.part(part) if part else data)


def truth_options(wildcards):
    """The other part. They are resources of the index and not params, since it only checks the masks."""
    return flags(source_of(wildcards).part(layout_of(wildcards).truth_settings))


def file_state(which):
    """Params function: a digest of the sizes of a data set's photographs, or masks, on disk.

    It is not an option of the stage: it makes Snakemake notice replaced files. The demo's are outputs of the workflow.
    """

    @functools.cache
    def of(dataset):
        data = CONFIG.datasets[dataset].data
        return "" if data.kind == "shapes" else size_digest(getattr(LAYOUTS[data.kind], which)(data))

    return lambda wildcards: of(wildcards.dataset)


@functools.cache
def tables_of(dataset):
    """A digest of the lists and tables that an index is made from, by content or, if very large, by size."""
    data = CONFIG.datasets[dataset].data
    files = [] if data.kind == "shapes" else [path for path in LAYOUTS[data.kind].sources(data) if path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    return " ".join(content_digest(path) if size < 1 << 26 else str(size) for path, size in sizes.items())


def source_state(wildcards):
    """Params function: a digest of a data set's tables, so that one replaced by an older file is noticed."""
    return tables_of(wildcards.dataset)


@functools.cache
def content_of(file):
    """A digest of a weight file's content. Raises WorkflowError if it is missing, so that its results are kept."""
    if not file.is_file():
        raise WorkflowError(no_such_file(file))
    try:
        return content_digest(file)
    except OSError as error:
        raise WorkflowError(str(explained(error, file))) from None


def weight_state(wildcards):
    """Params function: a digest of the user's own weight file; '' if the weights come from a library.

    The stage does not take it as an option; it makes Snakemake notice a file that was replaced.
    """
    file = run_of(wildcards).network.weight_file
    return "" if file is None else content_of(file)


def layout_of(wildcards):
    """How the data set is read; the demo is read as a folder."""
    return LAYOUTS[source_kind(wildcards)]


def localization_options(wildcards):
    """Params function: the localization settings that count in the chosen mode."""
    return flags(run_of(wildcards).localization.for_mode())


def prior_options(wildcards):
    """Params function: the settings that this prior's maps depend on."""
    return flags(run_of(wildcards).priors.part(PRIOR_SETTINGS[wildcards.prior]))


def crf_options(maps):
    """Params function: the CRF's settings that count for maps of one kind; none if no CRF is run."""

    def options(wildcards):
        return flags(run_of(wildcards).crf.part(CRF_SETTINGS[maps, wildcards.crf]))

    return options


def region_option(files):
    """The option for the regions that `regions_behind` lists."""
    return f"--regions {files.regions}" if "regions" in files.keys() else ""


def maps_options(input, *kinds):
    """The options for those of the inputs of these names that a rule has."""
    return " ".join(f"--{kind} {input[kind]}" for kind in kinds if kind in input.keys())


def features_output(output):
    """The option for the trunk's maps, where a rule writes them."""
    return f"--features {output.features}" if "features" in output.keys() else ""


def needs_features(run):
    """Whether a stage of the run reads the trunk's maps: a head on the frozen trunk, or a second round."""
    return run.localization.mode == "head" or bool(run.second_round.priors)


def datasets_with(condition):
    """Wildcard constraint: the data sets whose run meets a condition; one that no name matches if none does."""
    return "|".join(name for name, run in CONFIG.datasets.items() if condition(run)) or "-"


def experiment_options(wildcards):
    """Params function: the loss and the head of an experiment, which are all its keys but the CRF's."""
    choices = experiment_of(wildcards).model_dump(exclude={"crf"})
    return " ".join(f"--{key} {value}" for key, value in choices.items())


def experiment_facts(wildcards):
    """Params function: what a row of a table says about an experiment."""
    experiment = experiment_of(wildcards)
    facts = {
        "experiment": wildcards.experiment,
        **experiment.model_dump(),
        "smoothing": wildcards.crf,
        "recipe": run_of(wildcards).recipe_name(),
    }
    return repeated("--fact", [f"{key}={value}" for key, value in facts.items()])


# Table 4 evaluates masks on a tenth of the training images; `train_tenth.json` is that evaluation.
TABLE4_PART = "train_tenth"


def mask_facts(wildcards):
    """Params function: what a row of masks.csv says about masks."""
    facts = {"prior": wildcards.prior, "crf": wildcards.crf, "recipe": run_of(wildcards).recipe_name()}
    return repeated("--fact", [f"{key}={value}" for key, value in facts.items()])


def mask_protocol(wildcards):
    """Params function: how masks are evaluated; fgbg by foreground alone, Table 4 on a random tenth of train."""
    protocol = "foreground" if wildcards.prior == "fgbg" else "classes"
    part = "train --sample 0.1" if wildcards.split == TABLE4_PART else wildcards.split
    return f"--split {part} --protocol {protocol}"


def map_options(files):
    """`--prediction NAME/CRF=FILE` for each of `headline_maps`; NAME is the experiment's folder."""
    names = [(Path(file).parts[-3], Path(file).parts[-2].removeprefix("val-"), file) for file in files]
    return repeated("--prediction", [f"{name}/{crf}={file}" for name, crf, file in names])


def file_options(*names, **levels):
    """Params function: the options for the inputs of these names, and for the outputs.

    Each option has the name of its input. Inputs in `levels` are given as NAME=FILE, where NAME is the folder that many
    levels above the file.
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
