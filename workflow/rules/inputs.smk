"""Input functions of the rules, the targets of a run, and the outputs of rules that draw pictures."""


def shard_files(pattern):
    """Input function: `pattern` for every shard of the data set; its other wildcards are the rule's own."""

    def files(wildcards):
        return [pattern.format(**{**wildcards, "shard": shard}) for shard in shards_of(run_of(wildcards))]

    return files


def source_files(*names):
    """Input function: the files that the index of a data set is made from.

    The demo's are made by a rule. For a data set on disk, only existing files are listed: so a run can be planned
    before the data is there, and a changed list is noticed.
    """

    def files(wildcards):
        data = run_of(wildcards).data
        if data.kind == "shapes":
            return [f"results/{wildcards.dataset}/data/{name}" for name in names]
        return [str(path) for path in LAYOUTS[data.kind].sources(data) if path.exists()]

    return files


def weight_file(wildcards):
    """Input function: the user's own weight file; none if the weights come from a library.

    `weight_state` notices by its content if it was replaced; its time, which a copy changes, is ignored (`ancient`).
    """
    file = run_of(wildcards).network.weight_file
    return [ancient(str(file))] if file is not None and file.is_file() else []


def rendered_truth(wildcards):
    """Input function: the folder of truth masks that a rule draws, if the data set has them in another format."""
    if layout_of(wildcards).rendered(run_of(wildcards).data):
        return f"results/{wildcards.dataset}/truth"
    return []


def regions_behind(wildcards):
    """Input function: the regions that a CRF with higher-order terms needs."""
    if wildcards.crf != "higher_order":
        return {}
    return {"regions": f"results/{wildcards.dataset}/regions/{wildcards.shard}.h5"}


def final_maps(wildcards):
    """Input function: the maps that masks are made from; those of the second round if the prior has one."""
    rounds = (
        "second_round/{prior}/maps" if wildcards.prior in run_of(wildcards).second_round.priors else "priors/{prior}"
    )
    return f"results/{{dataset}}/{rounds}/{{shard}}.h5".format(**wildcards)


def features_behind_head(wildcards):
    """Input function: the features that a head on the frozen trunk is fitted to."""
    if run_of(wildcards).localization.mode != "head":
        return {}
    return {"features": shard_files("results/{dataset}/features/{shard}.h5")(wildcards)}


def maps_behind_cams(wildcards):
    """Input function: the trunk and its maps, from which class activation maps of a head are made."""
    if run_of(wildcards).localization.mode != "head":
        return {}
    folder = f"results/{wildcards.dataset}"
    return {"features": f"{folder}/features/{wildcards.shard}.h5", "trunk": f"{folder}/trunk.h5"}


def maps_behind(wildcards):
    """Input function: the maps that a prior is made from."""
    kinds = {
        "fgbg": ["activations"],
        "localization": ["cams"],
        "multiclass": ["activations", "cams"],
    }
    return {kind: f"results/{wildcards.dataset}/{kind}/{wildcards.shard}.h5" for kind in kinds[wildcards.prior]}


def training_masks(wildcards):
    """Input function: the mask shards that an experiment trains on; none for tags alone."""
    experiment = experiment_of(wildcards)
    if experiment.mask == "none":
        return []
    folder = f"results/{wildcards.dataset}/masks/{experiment.mask}-{experiment.crf}"
    return [f"{folder}/{shard}.h5" for shard in shards_of(run_of(wildcards))]


def table_results(wildcards):
    """Input function: the evaluations that a table gathers."""
    run = run_of(wildcards)
    folder = f"results/{wildcards.dataset}/evaluation"
    if wildcards.table == "masks":
        crfs = dict.fromkeys(["none", *(e.crf for e in run.experiments.values())])
        # a user's folder has truth for images of val at most; the demo has it for all images
        train_truth = run.data.kind == "shapes" or LAYOUTS[run.data.kind].train_truth(run.data)
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
    """The CRF with higher-order terms if any experiment uses it, else the pairwise one."""
    return "higher_order" if any(e.crf == "higher_order" for e in run.experiments.values()) else "pairwise"


def compared_masks(wildcards):
    """Input function: class masks of the data sets to compare, then of this one, each with its best CRF."""
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
    """Input function: `pattern` for each headline experiment with its own CRF, for every shard if it has {shard}."""

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
    """Input function: the predictions of the headline experiments, without a CRF and with their own."""
    run = run_of(wildcards)
    return [
        f"results/{wildcards.dataset}/predictions/{name}/val-{crf}/{shard}.h5"
        for name in run.headline
        for crf in dict.fromkeys(["none", run.experiments[name].crf])
        for shard in shards_of(run)
    ]


def submitted_predictions(wildcards):
    """Input function: the predictions to submit, those of the last headline experiment with its own CRF."""
    run = run_of(wildcards)
    if run.data.kind == "voc" and other_classes(run.data):
        raise WorkflowError(
            f"{wildcards.dataset}: its classes are not VOC's ({other_classes(run.data)}); the evaluation server takes "
            "predictions of those alone"
        )
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


def figures_of(run):
    """The names of the figures that a run's masks and headline experiments allow."""
    names = [name for prior, name in FIGURE_OF_PRIOR.items() if prior in run.masks_table]
    names += ["average"] if {"localization", "multiclass"} & set(run.masks_table) else []
    names += ["best", "median", "worst", "trimap", "per_class"]
    return names + [f"confusion_{name}" for name in run.headline]


# Figs. 3 to 5 each show how masks of one prior are made.
FIGURE_OF_PRIOR = {"fgbg": "foreground", "localization": "cams", "multiclass": "fused"}


def targets(dataset):
    """The final outputs of a run on one data set; without truth there is nothing to evaluate."""
    run = CONFIG.datasets[dataset]
    masks = f"masks/multiclass-{best_crf(run)}"
    names = ["losses.png", *(f"segmentation/{name}/model.pt" for name in run.headline)]
    if run.data.kind == "folder":
        names += [f"{masks}-png", f"{masks}-preview.png"]
    if run.data.kind == "shapes" or LAYOUTS[run.data.kind].has_truth(run.data):
        names += ["miou.csv", "miou.png", "masks.csv", "trimap.csv", "panels.png", "summary.html"]
        names += [f"predictions/{name}/val-{run.experiments[name].crf}-png" for name in run.headline]
        names += [f"figures/{name}.png" for name in figures_of(run)]
    return [f"results/{dataset}/{name}" for name in names]


def picture(name, what, subcategory, caption=None):
    """The output of a picture: a PNG, which the report shows as `what`."""
    return report(
        f"results/{{dataset}}/{name}.png",
        caption=f"../report/{caption or name}.rst",
        category="{dataset}",
        subcategory=subcategory,
        labels={"what": what},
    )


def figure(name, what, subcategory, caption=None):
    """The outputs of one of the paper's figures: a PNG, which the report shows, and an SVG."""
    png = picture(f"figures/{name}", what, subcategory, f"figure_{caption or name}")
    return {"png": png, "svg": f"results/{{dataset}}/figures/{name}.svg"}
