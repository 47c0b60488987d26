"""Pictures of a run, one PNG each. All are derived from `panels`, and those drawn from tables from `chart`."""


rule panels:
    input:
        priors=shard_files("results/{dataset}/priors/fgbg/{shard}.h5"),
        cams=shard_files("results/{dataset}/cams/{shard}.h5"),
        masks=shard_files("results/{dataset}/masks/multiclass-pairwise/{shard}.h5"),
        prediction=headline_predictions,
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        ground_truth="results/{dataset}/ground_truth.csv",
    output:
        picture("panels", "from photograph to prediction", "Images"),
    log:
        "logs/{dataset}/panels.log",
    benchmark:
        "logs/{dataset}/panels.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        command="panels --split val",
        files=file_options("tags", "classes", "ground_truth", "priors", "cams", "masks", prediction=2),
        settings=lambda wildcards: f"--count {run_of(wildcards).panels}",
    message:
        "{wildcards.dataset}: draw panels.png"
    shell:
        "tagseg {params.command} {params.files} {params.settings} > {log} 2>&1"


use rule panels as recipe_panels with:
    input:
        run=compared_masks,
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        ground_truth="results/{dataset}/ground_truth.csv",
    output:
        picture("recipes", "recipes", "Images"),
    log:
        "logs/{dataset}/recipe_panels.log",
    benchmark:
        "logs/{dataset}/recipe_panels.tsv"
    params:
        command="recipe-panels",
        files=file_options("tags", "classes", "ground_truth", run=3),
    message:
        "{wildcards.dataset}: draw recipes.png"


use rule panels as crf_panels with:
    input:
        regions=shard_files("results/{dataset}/regions/{shard}.h5"),
        pairwise=shard_files("results/{dataset}/masks/{prior}-pairwise/{shard}.h5"),
        higher_order=shard_files("results/{dataset}/masks/{prior}-higher_order/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        ground_truth="results/{dataset}/ground_truth.csv",
    output:
        picture("crf_{prior}", "CRF with regions, {prior}", "Method", "crf"),
    log:
        "logs/{dataset}/crf_panels/{prior}.log",
    benchmark:
        "logs/{dataset}/crf_panels/{prior}.tsv"
    params:
        command="crf-panels --split val",
        files=file_options("tags", "classes", "ground_truth", "regions", "pairwise", "higher_order"),
        settings="--prior {prior}",
    message:
        "{wildcards.dataset}: draw crf_{wildcards.prior}.png"


use rule panels as region_panels with:
    input:
        tags="results/{dataset}/tags.csv",
    output:
        picture("regions", "crisp regions", "Method"),
    log:
        "logs/{dataset}/region_panels.log",
    benchmark:
        "logs/{dataset}/region_panels.tsv"
    params:
        command="region-panels",
        files=file_options("tags"),
        settings=section("regions", CrispSettings),
    message:
        "{wildcards.dataset}: draw regions.png"


use rule panels as mask_preview with:
    input:
        labels=shard_files("results/{dataset}/masks/{prior}-{crf}/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
    output:
        "results/{dataset}/masks/{prior}-{crf}-preview.png",
    log:
        "logs/{dataset}/mask_preview/{prior}-{crf}.log",
    benchmark:
        "logs/{dataset}/mask_preview/{prior}-{crf}.tsv"
    params:
        command="mask-preview",
        files=file_options("tags", "classes", "labels"),
        settings="",
    message:
        "{wildcards.dataset}: draw a sheet of {wildcards.prior} masks"


use rule panels as chart with:
    input:
        table="results/{dataset}/{table}.csv",
    output:
        picture("{table}", "mIoU of the experiments ({table}.csv)", "Headline", "chart"),
    log:
        "logs/{dataset}/chart/{table}.log",
    benchmark:
        "logs/{dataset}/chart/{table}.tsv"
    wildcard_constraints:
        table="miou|ablation",
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        command="figure experiments",
        files=file_options("table"),
        settings="--title {dataset}",
    message:
        "{wildcards.dataset}: draw {wildcards.table}.png"


use rule chart as losses with:
    input:
        training=headline_trainings,
    output:
        picture("losses", "losses", "Training"),
    log:
        "logs/{dataset}/losses.log",
    benchmark:
        "logs/{dataset}/losses.tsv"
    params:
        command="figure losses",
        files=file_options(training=1),
    message:
        "{wildcards.dataset}: draw losses.png"
