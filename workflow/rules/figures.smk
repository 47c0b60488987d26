"""The paper's figures, as PNG and SVG, and the page that a report opens with. The base rules are in pictures.smk."""


rule figure_foreground:
    input:
        priors=shard_files("results/{dataset}/priors/fgbg/{shard}.h5"),
        masks=shard_files("results/{dataset}/masks/fgbg-pairwise/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        ground_truth="results/{dataset}/ground_truth.csv",
        weights=weight_file,
    output:
        **figure("foreground", "Fig. 3: activations and foreground", "Method"),
    log:
        "logs/{dataset}/figure_foreground.log",
    benchmark:
        "logs/{dataset}/figure_foreground.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=memory(NETWORK_MB),
        runtime=minutes(30),
        gpu=GPUS,
        machine=INFERENCE,
    params:
        files=file_options("tags", "ground_truth", "priors", "masks"),
        network=section("network"),
        weights=weight_state,
        views=section("views"),
    message:
        "{wildcards.dataset}: draw figures/foreground"
    shell:
        "tagseg figure foreground {params.files} --split val {params.network} {params.views} {resources.machine} "
        "--threads {threads} > {log} 2>&1"


use rule panels as figure_cams with:
    input:
        cams=shard_files("results/{dataset}/cams/{shard}.h5"),
        masks=shard_files("results/{dataset}/masks/localization-pairwise/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        ground_truth="results/{dataset}/ground_truth.csv",
    output:
        **figure("cams", "Fig. 4: class activation maps", "Method"),
    log:
        "logs/{dataset}/figure_cams.log",
    benchmark:
        "logs/{dataset}/figure_cams.tsv"
    params:
        command="figure cams --split val",
        files=file_options("tags", "classes", "ground_truth", "cams", "masks"),
        settings="",
    message:
        "{wildcards.dataset}: draw figures/cams"


use rule panels as figure_fused with:
    input:
        cams=shard_files("results/{dataset}/cams/{shard}.h5"),
        foreground=shard_files("results/{dataset}/priors/fgbg/{shard}.h5"),
        fused=shard_files("results/{dataset}/priors/multiclass/{shard}.h5"),
        masks=shard_files("results/{dataset}/masks/multiclass-pairwise/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        ground_truth="results/{dataset}/ground_truth.csv",
    output:
        **figure("fused", "Fig. 5: fusion", "Method"),
    log:
        "logs/{dataset}/figure_fused.log",
    benchmark:
        "logs/{dataset}/figure_fused.tsv"
    params:
        command="figure cams --split val",
        files=file_options("tags", "classes", "ground_truth", "cams", "masks", "foreground", "fused"),
        settings="",
    message:
        "{wildcards.dataset}: draw figures/fused"


use rule panels as figure_ranked with:
    input:
        score=headline_files("results/{dataset}/evaluation/predictions/{experiment}/val-{crf}.csv"),
        prediction=headline_predictions,
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        ground_truth="results/{dataset}/ground_truth.csv",
    output:
        **figure("{rank}", "Figs. 6 to 8: {rank} images", "Images", "ranked"),
    log:
        "logs/{dataset}/figure_ranked/{rank}.log",
    benchmark:
        "logs/{dataset}/figure_ranked/{rank}.tsv"
    wildcard_constraints:
        rank="best|median|worst",
    params:
        command="figure ranked --split val",
        files=file_options("tags", "classes", "ground_truth", score=1, prediction=2),
        settings="--rank {rank}",
    message:
        "{wildcards.dataset}: draw figures/{wildcards.rank}"


use rule panels as figure_average with:
    input:
        cams=shard_files("results/{dataset}/cams/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        ground_truth="results/{dataset}/ground_truth.csv",
    output:
        **figure("average", "Fig. 9: average maps", "Method"),
    log:
        "logs/{dataset}/figure_average.log",
    benchmark:
        "logs/{dataset}/figure_average.tsv"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30, dataset=0.1),
    params:
        command="figure average --split val",
        files=file_options("tags", "classes", "ground_truth", "cams"),
        settings="",
    message:
        "{wildcards.dataset}: draw figures/average"


use rule chart as figure_trimap with:
    input:
        table="results/{dataset}/trimap.csv",
    output:
        **figure("trimap", "Fig. 10: accuracy near boundaries", "Analysis"),
    log:
        "logs/{dataset}/figure_trimap.log",
    benchmark:
        "logs/{dataset}/figure_trimap.tsv"
    params:
        command="figure trimap",
        files=file_options("table"),
    message:
        "{wildcards.dataset}: draw figures/trimap"


use rule chart as figure_confusion with:
    input:
        result=own_result,
    output:
        **figure("confusion_{experiment}", "Fig. 11: confusion, {experiment}", "Analysis", "confusion"),
    log:
        "logs/{dataset}/figure_confusion/{experiment}.log",
    benchmark:
        "logs/{dataset}/figure_confusion/{experiment}.tsv"
    params:
        command="figure confusion",
        files=file_options("result"),
        settings="--title '{dataset}, {experiment}: percent of the true pixels'",
    message:
        "{wildcards.dataset}: draw figures/confusion_{wildcards.experiment}"


use rule chart as figure_per_class with:
    input:
        table="results/{dataset}/miou.csv",
        classes="results/{dataset}/classes.txt",
    output:
        **figure("per_class", "IoU by class", "Headline"),
    log:
        "logs/{dataset}/figure_per_class.log",
    benchmark:
        "logs/{dataset}/figure_per_class.tsv"
    params:
        command="figure per-class",
        files=file_options("table", "classes"),
    message:
        "{wildcards.dataset}: draw figures/per_class"


use rule chart as summary with:
    input:
        miou="results/{dataset}/miou.csv",
        table=["results/{dataset}/masks.csv", "results/{dataset}/trimap.csv"],
        picture=[
            "results/{dataset}/miou.png",
            "results/{dataset}/panels.png",
            "results/{dataset}/figures/best.png",
            "results/{dataset}/figures/worst.png",
            "results/{dataset}/figures/per_class.png",
            "results/{dataset}/figures/trimap.png",
        ],
    output:
        report(
            "results/{dataset}/summary.html",
            caption="../report/summary.rst",
            category="{dataset}",
            subcategory="Headline",
            labels={"what": "summary"},
        ),
    log:
        "logs/{dataset}/summary.log",
    benchmark:
        "logs/{dataset}/summary.tsv"
    params:
        command="summary",
        files=file_options("miou", "table", "picture"),
        settings="--title 'From image tags to pixel labels: {dataset}'",
    message:
        "{wildcards.dataset}: write summary.html"
