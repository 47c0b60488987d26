"""The paper's figures, as PNG and SVG, and the page that a report opens with."""


rule figure_foreground:
    input:
        priors=shard_files("results/{dataset}/priors/fgbg/{shard}.h5"),
        masks=shard_files("results/{dataset}/masks/fgbg-pairwise/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        truth="results/{dataset}/ground_truth.csv",
    output:
        png=report(
            "results/{dataset}/figures/foreground.png",
            caption="../report/figure_foreground.rst",
            category="{dataset}",
            subcategory="Method",
            labels={"what": "Fig. 3: activations and foreground"},
        ),
        svg="results/{dataset}/figures/foreground.svg",
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
        network=section("network"),
        looks=section("views"),
        priors=lambda wildcards, input: repeated("--priors", input.priors),
        masks=lambda wildcards, input: repeated("--masks", input.masks),
    message:
        "{wildcards.dataset}: draw figures/foreground"
    shell:
        "tagseg figure foreground --tags {input.tags} --ground-truth {input.truth} "
        "{params.priors} {params.masks} --split val {params.network} {params.looks} {resources.machine} "
        "--threads {threads} --output {output.png} --output {output.svg} > {log} 2>&1"


rule figure_cams:
    input:
        cams=shard_files("results/{dataset}/cams/{shard}.h5"),
        masks=shard_files("results/{dataset}/masks/localization-pairwise/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        png=report(
            "results/{dataset}/figures/cams.png",
            caption="../report/figure_cams.rst",
            category="{dataset}",
            subcategory="Method",
            labels={"what": "Fig. 4: class activation maps"},
        ),
        svg="results/{dataset}/figures/cams.svg",
    log:
        "logs/{dataset}/figure_cams.log",
    benchmark:
        "logs/{dataset}/figure_cams.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        cams=lambda wildcards, input: repeated("--cams", input.cams),
        masks=lambda wildcards, input: repeated("--masks", input.masks),
    message:
        "{wildcards.dataset}: draw figures/cams"
    shell:
        "tagseg figure cams --tags {input.tags} --ground-truth {input.truth} --classes {input.classes} "
        "{params.cams} {params.masks} --split val --output {output.png} --output {output.svg} > {log} 2>&1"


rule figure_fused:
    input:
        cams=shard_files("results/{dataset}/cams/{shard}.h5"),
        foreground=shard_files("results/{dataset}/priors/fgbg/{shard}.h5"),
        fused=shard_files("results/{dataset}/priors/multiclass/{shard}.h5"),
        masks=shard_files("results/{dataset}/masks/multiclass-pairwise/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        png=report(
            "results/{dataset}/figures/fused.png",
            caption="../report/figure_fused.rst",
            category="{dataset}",
            subcategory="Method",
            labels={"what": "Fig. 5: fusion"},
        ),
        svg="results/{dataset}/figures/fused.svg",
    log:
        "logs/{dataset}/figure_fused.log",
    benchmark:
        "logs/{dataset}/figure_fused.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        cams=lambda wildcards, input: repeated("--cams", input.cams),
        foreground=lambda wildcards, input: repeated("--foreground", input.foreground),
        fused=lambda wildcards, input: repeated("--fused", input.fused),
        masks=lambda wildcards, input: repeated("--masks", input.masks),
    message:
        "{wildcards.dataset}: draw figures/fused"
    shell:
        "tagseg figure cams --tags {input.tags} --ground-truth {input.truth} --classes {input.classes} "
        "{params.cams} {params.foreground} {params.fused} {params.masks} --split val "
        "--output {output.png} --output {output.svg} > {log} 2>&1"


rule figure_ranked:
    input:
        scores=headline_files("results/{dataset}/evaluation/predictions/{experiment}/val-{crf}.csv"),
        predictions=headline_predictions,
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        png=report(
            "results/{dataset}/figures/{rank}.png",
            caption="../report/figure_ranked.rst",
            category="{dataset}",
            subcategory="Images",
            labels={"what": "Figs. 6 to 8: {rank} images"},
        ),
        svg="results/{dataset}/figures/{rank}.svg",
    log:
        "logs/{dataset}/figure_ranked/{rank}.log",
    benchmark:
        "logs/{dataset}/figure_ranked/{rank}.tsv"
    wildcard_constraints:
        rank="best|median|worst",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30),
    params:
        scores=lambda wildcards, input: score_options(input.scores),
        predictions=lambda wildcards, input: prediction_options(input.predictions),
    message:
        "{wildcards.dataset}: draw figures/{wildcards.rank}"
    shell:
        "tagseg figure ranked --rank {wildcards.rank} --tags {input.tags} --ground-truth {input.truth} "
        "--classes {input.classes} {params.scores} {params.predictions} --split val "
        "--output {output.png} --output {output.svg} > {log} 2>&1"


rule figure_average:
    input:
        cams=shard_files("results/{dataset}/cams/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        png=report(
            "results/{dataset}/figures/average.png",
            caption="../report/figure_average.rst",
            category="{dataset}",
            subcategory="Method",
            labels={"what": "Fig. 9: average maps"},
        ),
        svg="results/{dataset}/figures/average.svg",
    log:
        "logs/{dataset}/figure_average.log",
    benchmark:
        "logs/{dataset}/figure_average.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30, dataset=0.1),
    params:
        cams=lambda wildcards, input: repeated("--cams", input.cams),
    message:
        "{wildcards.dataset}: draw figures/average"
    shell:
        "tagseg figure average --tags {input.tags} --ground-truth {input.truth} --classes {input.classes} "
        "{params.cams} --split val --output {output.png} --output {output.svg} > {log} 2>&1"


rule figure_trimap:
    input:
        table="results/{dataset}/trimap.csv",
    output:
        png=report(
            "results/{dataset}/figures/trimap.png",
            caption="../report/figure_trimap.rst",
            category="{dataset}",
            subcategory="Analysis",
            labels={"what": "Fig. 10: accuracy beside boundaries"},
        ),
        svg="results/{dataset}/figures/trimap.svg",
    log:
        "logs/{dataset}/figure_trimap.log",
    benchmark:
        "logs/{dataset}/figure_trimap.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    message:
        "{wildcards.dataset}: draw figures/trimap"
    shell:
        "tagseg figure trimap --table {input.table} --title {wildcards.dataset} "
        "--output {output.png} --output {output.svg} > {log} 2>&1"


rule figure_confusion:
    input:
        result=own_result,
    output:
        png=report(
            "results/{dataset}/figures/confusion_{experiment}.png",
            caption="../report/figure_confusion.rst",
            category="{dataset}",
            subcategory="Analysis",
            labels={"what": "Fig. 11: confusion, {experiment}"},
        ),
        svg="results/{dataset}/figures/confusion_{experiment}.svg",
    log:
        "logs/{dataset}/figure_confusion/{experiment}.log",
    benchmark:
        "logs/{dataset}/figure_confusion/{experiment}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    message:
        "{wildcards.dataset}: draw figures/confusion_{wildcards.experiment}"
    shell:
        "tagseg figure confusion --result {input.result} "
        "--title '{wildcards.dataset}, {wildcards.experiment}: percent of the true pixels' "
        "--output {output.png} --output {output.svg} > {log} 2>&1"


rule figure_per_class:
    input:
        table="results/{dataset}/miou.csv",
        classes="results/{dataset}/classes.txt",
    output:
        png=report(
            "results/{dataset}/figures/per_class.png",
            caption="../report/figure_per_class.rst",
            category="{dataset}",
            subcategory="Headline",
            labels={"what": "IoU by class"},
        ),
        svg="results/{dataset}/figures/per_class.svg",
    log:
        "logs/{dataset}/figure_per_class.log",
    benchmark:
        "logs/{dataset}/figure_per_class.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    message:
        "{wildcards.dataset}: draw figures/per_class"
    shell:
        "tagseg figure per-class --table {input.table} --classes {input.classes} "
        "--title {wildcards.dataset} --output {output.png} --output {output.svg} > {log} 2>&1"


rule summary:
    input:
        miou="results/{dataset}/miou.csv",
        tables=["results/{dataset}/masks.csv", "results/{dataset}/trimap.csv"],
        pictures=[
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
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        tables=lambda wildcards, input: repeated("--table", input.tables),
        pictures=lambda wildcards, input: repeated("--picture", input.pictures),
    message:
        "{wildcards.dataset}: write summary.html"
    shell:
        "tagseg summary --miou {input.miou} {params.tables} {params.pictures} "
        "--title 'From image tags to pixel labels: {wildcards.dataset}' --output {output} > {log} 2>&1"
