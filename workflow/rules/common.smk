"""Helpers of the rules: where things lie, and which settings a stage is handed."""

import re
import shlex
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.settings.types import DeploymentMethod

from tagseg.config import (
    CRISP_KEYS,
    HIGHER_ORDER_KEYS,
    INFERENCE_KEYS,
    LOCALIZATION_HEAD_KEYS,
    MASK_CRF_KEYS,
    PREDICTION_CRF_KEYS,
    PRIOR_KEYS,
    REFIT_KEYS,
    SAMPLE_KEYS,
    TRAINING_KEYS,
    FolderData,
)
from tagseg.datasets.layouts import LAYOUTS
from tagseg.datasets.shapes import TARGETS
from tagseg.errors import TagsegError
from tagseg.parsing import flags, parse_config

try:
    CONFIG = parse_config(config)
except TagsegError as error:
    raise WorkflowError(str(error)) from None


# Of rules that run a network. They are among a rule's resources and not its params: where a network runs, and how often
# its training is saved, is no reason to run it again.
GPUS = 1 if CONFIG.device == "cuda" else 0
THREADS = 1 + CONFIG.loaders
# What is written to be read once more by the run itself.
passing = (lambda path: path) if CONFIG.keep_maps else temp
TRAINING = flags(CONFIG, TRAINING_KEYS)
INFERENCE = flags(CONFIG, INFERENCE_KEYS)
ENVIRONMENT = "../../envs/gpu.yaml" if CONFIG.device == "cuda" else "../../envs/cpu.yaml"
# `tagseg` in a rule is this interpreter's; in a conda environment, which holds what the package needs but not the
# package itself, it is that environment's interpreter on the code beside the workflow.
if DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method:
    PYTHON = f"PYTHONPATH={shlex.quote(str(Path(workflow.basedir).parent / 'src'))} python"
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


def shard_files(pattern):
    """Input function: `pattern` for every shard of the data set; its other wildcards are the rule's own."""

    def files(wildcards):
        return [pattern.format(**{**wildcards, "shard": shard}) for shard in shards_of(run_of(wildcards))]

    return files


def section(name, keys=None):
    """Params function: the command-line options of one group of settings, or of only `keys` of it."""

    def options(wildcards):
        return flags(getattr(run_of(wildcards), name), keys)

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


def source_files(*names):
    """Input function: the files that the index of a data set is made of.

    The demo's are made by a rule. Of an existing data set only the files that are there are named: so the plan of a
    run can be drawn before the data is at hand, and a changed list is noticed.
    """

    def files(wildcards):
        data = run_of(wildcards).data
        if data.kind == "shapes":
            return [f"results/{wildcards.dataset}/data/{name}" for name in names]
        return [str(path) for path in LAYOUTS[data.kind].sources(data) if path.exists()]

    return files


def source_kind(wildcards):
    """The subcommand that reads the data set's layout: the demo's is that of an own folder."""
    kind = run_of(wildcards).data.kind
    return "folder" if kind == "shapes" else kind


def source_options(wildcards):
    """Where the data set lies, and how it is to be read."""
    data = run_of(wildcards).data
    if data.kind == "shapes":
        data = FolderData(root=f"results/{wildcards.dataset}/data", classes=list(TARGETS))
    return flags(data)


def layout_of(wildcards):
    """How the data set is read: the demo's layout is that of an own folder."""
    return LAYOUTS[source_kind(wildcards)]


def rendered_truth(wildcards):
    """Input function: the folder of truth masks that a rule draws, where the data set has them in another form."""
    if layout_of(wildcards).rendered(run_of(wildcards).data):
        return f"results/{wildcards.dataset}/truth"
    return []


def localization_options(wildcards):
    """The localization settings that count in the chosen mode."""
    settings = run_of(wildcards).localization
    return flags(settings, LOCALIZATION_HEAD_KEYS if settings.mode == "head" else None)


def prior_options(wildcards):
    """The settings that this prior's maps depend on."""
    return flags(run_of(wildcards).priors, PRIOR_KEYS[wildcards.prior])


def crf_options(keys):
    """Params function: those of the CRF's settings that count, or none where no CRF is run."""

    def options(wildcards):
        if wildcards.crf == "none":
            return ""
        return flags(run_of(wildcards).crf, keys if wildcards.crf == "higher_order" else keys - HIGHER_ORDER_KEYS)

    return options


def regions_behind(wildcards):
    """Input function: the regions that a CRF with higher-order terms looks at."""
    if wildcards.crf != "higher_order":
        return {}
    return {"regions": f"results/{wildcards.dataset}/regions/{wildcards.shard}.h5"}


def region_option(files):
    """The option that hands a stage what `regions_behind` named."""
    return f"--regions {files.regions}" if "regions" in files.keys() else ""


def final_maps(wildcards):
    """Input function: the maps that masks are made of, those of the second round where the prior has one."""
    rounds = "refit/{prior}/maps" if wildcards.prior in run_of(wildcards).refit.priors else "priors/{prior}"
    return f"results/{{dataset}}/{rounds}/{{shard}}.h5".format(**wildcards)


def maps_behind(wildcards):
    """Input function: what a prior is made of."""
    kinds = {
        "fgbg": ["activations"],
        "localization": ["cams"],
        "multiclass": ["activations", "cams"],
    }
    return {kind: f"results/{wildcards.dataset}/{kind}/{wildcards.shard}.h5" for kind in kinds[wildcards.prior]}


def maps_options(input):
    """The options that hand `maps_behind` to the stage."""
    return " ".join(f"--{kind} {input[kind]}" for kind in ("activations", "cams") if kind in input.keys())


def training_masks(wildcards):
    """Input function: the mask shards that an experiment trains on; none for tags alone."""
    experiment = experiment_of(wildcards)
    if experiment.mask == "none":
        return []
    folder = f"results/{wildcards.dataset}/masks/{experiment.mask}-{experiment.crf}"
    return [f"{folder}/{shard}.h5" for shard in shards_of(run_of(wildcards))]


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
    }
    return repeated("--fact", [f"{key}={value}" for key, value in facts.items()])


# The part of the training images that Table 4 is of; `train_tenth.json` is its evaluation.
TABLE4_PART = "train_tenth"


def mask_protocol(wildcards):
    """How masks are evaluated: those of fgbg against any foreground; Table 4's are of a random tenth of train."""
    protocol = "foreground" if wildcards.prior == "fgbg" else "classes"
    part = "train --sample 0.1" if wildcards.split == TABLE4_PART else wildcards.split
    return f"--split {part} --protocol {protocol}"


def table_results(wildcards):
    """Input function: the evaluations that a table gathers."""
    run = run_of(wildcards)
    folder = f"results/{wildcards.dataset}/evaluation"
    if wildcards.table == "masks":
        crfs = dict.fromkeys(["none", *(e.crf for e in run.experiments.values())])
        # an own folder has truth for some images at best, and those are of split val; the demo's has it for all
        train_truth = run.data.kind == "shapes" or LAYOUTS[run.data.kind].train_truth
        tenth = crfs if train_truth and "fgbg" in run.masks_table else []
        return [f"{folder}/masks/fgbg-{crf}/{TABLE4_PART}.json" for crf in tenth] + [
            f"{folder}/masks/{prior}-{crf}/{split}.json"
            for split in (("train", "val") if train_truth else ("val",))
            for prior in run.masks_table
            for crf in crfs
        ]
    names = run.headline if wildcards.table == "miou" else list(run.experiments)
    return [
        f"{folder}/predictions/{name}/val-{crf}.json"
        for name in names
        for crf in dict.fromkeys(["none", run.experiments[name].crf])
    ]


def best_crf(run):
    """The CRF with higher-order terms where an experiment has it, else without."""
    return "higher_order" if any(e.crf == "higher_order" for e in run.experiments.values()) else "pairwise"


def compared_masks(wildcards):
    """Input function: class masks of the data sets to compare, then of this one, with its CRF."""
    names = [*run_of(wildcards).compare, wildcards.dataset]
    return [
        f"results/{name}/masks/multiclass-{best_crf(CONFIG.datasets[name])}/{shard}.h5"
        for name in names
        for shard in shards_of(CONFIG.datasets[name])
    ]


def headline_trainings(wildcards):
    """Input function: the logs of the trainings by gradient descent behind the headline."""
    run = run_of(wildcards)
    steps = ["localization"] if run.localization.mode == "finetune" else []
    folders = [*steps, *(f"segmentation/{name}" for name in run.headline)]
    return [f"results/{wildcards.dataset}/{folder}/training.csv" for folder in folders]


def headline_files(pattern):
    """Input function: `pattern` for each headline experiment with its own CRF; of one with {shard}, every shard."""

    def files(wildcards):
        run = run_of(wildcards)
        return [
            pattern.format(dataset=wildcards.dataset, experiment=name, crf=run.experiments[name].crf, shard=shard)
            for name in run.headline
            for shard in (shards_of(run) if "{shard}" in pattern else ["all"])
        ]

    return files


headline_predictions = headline_files("results/{dataset}/predictions/{experiment}/val-{crf}/{shard}.h5")


def headline_maps(wildcards):
    """Input function: the predictions of the headline experiments, without a CRF and with each one's own."""
    run = run_of(wildcards)
    return [
        f"results/{wildcards.dataset}/predictions/{name}/val-{crf}/{shard}.h5"
        for name in run.headline
        for crf in dict.fromkeys(["none", run.experiments[name].crf])
        for shard in shards_of(run)
    ]


def submitted_predictions(wildcards):
    """Input function: the smoothed predictions that are packed for the test server: the last headline experiment's."""
    run = run_of(wildcards)
    if run.submission == "test" and not layout_of(wildcards).has_test(run.data):
        raise WorkflowError(
            f"{wildcards.dataset}: no list of test images to submit; unpack VOC's test archive, or set submission: val"
        )
    name = run.headline[-1]
    folder = f"results/{wildcards.dataset}/predictions/{name}/{run.submission}-{run.experiments[name].crf}"
    return [f"{folder}/{shard}.h5" for shard in shards_of(run)]


def own_result(wildcards):
    """Input function: the evaluation of an experiment with its own CRF."""
    crf = experiment_of(wildcards).crf
    return f"results/{wildcards.dataset}/evaluation/predictions/{wildcards.experiment}/val-{crf}.json"


def prediction_options(files):
    """`--prediction NAME=FILE` for each of `headline_predictions`: the name is the experiment's folder."""
    return repeated("--prediction", [f"{Path(file).parts[-3]}={file}" for file in files])


def map_options(files):
    """`--prediction NAME/CRF=FILE` for each of `headline_maps`."""
    names = [(Path(file).parts[-3], Path(file).parts[-2].removeprefix("val-"), file) for file in files]
    return repeated("--prediction", [f"{name}/{crf}={file}" for name, crf, file in names])


def score_options(files):
    """`--score NAME=FILE` for the tables of images: the name is the experiment's folder."""
    return repeated("--score", [f"{Path(file).parts[-2]}={file}" for file in files])


def figures_of(run):
    """The names of the figures that the masks and headline of a run can fill."""
    names = [name for prior, name in FIGURE_OF_PRIOR.items() if prior in run.masks_table]
    names += ["average"] if {"localization", "multiclass"} & set(run.masks_table) else []
    names += ["best", "median", "worst", "trimap", "per_class"]
    return names + [f"confusion_{name}" for name in run.headline]


# Figs. 3 to 5: each shows how masks of one prior come about.
FIGURE_OF_PRIOR = {"fgbg": "foreground", "localization": "cams", "multiclass": "fused"}


def targets(dataset):
    """What a run on one data set makes for people; without truth there is nothing to evaluate."""
    run = CONFIG.datasets[dataset]
    pictures = [f"predictions/{name}/val-{run.experiments[name].crf}-png" for name in run.headline]
    names = ["miou.csv", "miou.png", "masks.csv", "trimap.csv", "panels.png", "losses.png", *pictures]
    names += ["summary.html", *(f"figures/{name}.png" for name in figures_of(run))]
    if run.data.kind != "shapes" and not LAYOUTS[run.data.kind].has_truth(run.data):
        names = [
            "masks/multiclass-pairwise-png",
            *(f"segmentation/{name}/model.pt" for name in run.headline),
            "losses.png",
        ]
    return [f"results/{dataset}/{name}" for name in names]
