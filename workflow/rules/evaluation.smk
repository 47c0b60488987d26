"""Comparison with the truth, tables and pictures; with figures.smk the only rules that read ground_truth.csv."""


rule evaluate_predictions:
    input:
        labels=shard_files("results/{dataset}/predictions/{experiment}/{split}-{crf}/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        result="results/{dataset}/evaluation/predictions/{experiment}/{split}-{crf}.json",
        images="results/{dataset}/evaluation/predictions/{experiment}/{split}-{crf}.csv",
    log:
        "logs/{dataset}/evaluate_predictions/{experiment}/{split}-{crf}.log",
    benchmark:
        "logs/{dataset}/evaluate_predictions/{experiment}/{split}-{crf}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, dataset=0.1),
    params:
        labels=lambda wildcards, input: repeated("--labels", input.labels),
        facts=experiment_facts,
    message:
        "{wildcards.dataset}: evaluate {wildcards.experiment} on {wildcards.split}, CRF {wildcards.crf}"
    shell:
        "tagseg evaluate {params.labels} --tags {input.tags} --ground-truth {input.truth} "
        "--classes {input.classes} --split {wildcards.split} {params.facts} --output {output.result} "
        "--per-image {output.images} > {log} 2>&1"


rule evaluate_masks:
    input:
        labels=shard_files("results/{dataset}/masks/{prior}-{crf}/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        "results/{dataset}/evaluation/masks/{prior}-{crf}/{split}.json",
    log:
        "logs/{dataset}/evaluate_masks/{prior}-{crf}/{split}.log",
    benchmark:
        "logs/{dataset}/evaluate_masks/{prior}-{crf}/{split}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, dataset=0.1),
    params:
        labels=lambda wildcards, input: repeated("--labels", input.labels),
        protocol=mask_protocol,
    message:
        "{wildcards.dataset}: evaluate the {wildcards.prior} masks of {wildcards.split}, CRF {wildcards.crf}"
    shell:
        "tagseg evaluate {params.labels} --tags {input.tags} --ground-truth {input.truth} "
        "--classes {input.classes} {params.protocol} "
        "--fact prior={wildcards.prior} --fact crf={wildcards.crf} --output {output} > {log} 2>&1"


rule tabulate:
    input:
        table_results,
    output:
        report(
            "results/{dataset}/{table}.csv",
            caption="../report/table.rst",
            category="{dataset}",
            subcategory="Tables",
            labels={"what": "{table}.csv"},
        ),
    log:
        "logs/{dataset}/tabulate/{table}.log",
    benchmark:
        "logs/{dataset}/tabulate/{table}.tsv"
    wildcard_constraints:
        table="miou|ablation|masks",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        published=lambda wildcards: run_of(wildcards).published,
    message:
        "{wildcards.dataset}: write {wildcards.table}.csv"
    shell:
        "tagseg tabulate --table {wildcards.table} {input} --published {params.published} --output {output} "
        "> {log} 2>&1"


rule trimap:
    input:
        predictions=headline_maps,
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        report(
            "results/{dataset}/trimap.csv",
            caption="../report/trimap_table.rst",
            category="{dataset}",
            subcategory="Tables",
            labels={"what": "trimap.csv"},
        ),
    log:
        "logs/{dataset}/trimap.log",
    benchmark:
        "logs/{dataset}/trimap.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, dataset=0.2),
    params:
        predictions=lambda wildcards, input: map_options(input.predictions),
    message:
        "{wildcards.dataset}: write trimap.csv"
    shell:
        "tagseg trimap {params.predictions} --tags {input.tags} --ground-truth {input.truth} "
        "--classes {input.classes} --split val --output {output} > {log} 2>&1"


rule chart:
    input:
        "results/{dataset}/{table}.csv",
    output:
        report(
            "results/{dataset}/{table}.png",
            caption="../report/chart.rst",
            category="{dataset}",
            subcategory="Headline",
            labels={"what": "mIoU of the experiments ({table}.csv)"},
        ),
    log:
        "logs/{dataset}/chart/{table}.log",
    benchmark:
        "logs/{dataset}/chart/{table}.tsv"
    wildcard_constraints:
        table="miou|ablation",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    message:
        "{wildcards.dataset}: draw {wildcards.table}.png"
    shell:
        "tagseg chart --table {input} --output {output} --title {wildcards.dataset} > {log} 2>&1"


rule losses:
    input:
        headline_trainings,
    output:
        report(
            "results/{dataset}/losses.png",
            caption="../report/losses.rst",
            category="{dataset}",
            subcategory="Training",
            labels={"what": "losses"},
        ),
    log:
        "logs/{dataset}/losses.log",
    benchmark:
        "logs/{dataset}/losses.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(10),
    params:
        trainings=lambda wildcards, input: repeated(
            "--training", [f"{Path(file).parent.name}={file}" for file in input]
        ),
    message:
        "{wildcards.dataset}: draw losses.png"
    shell:
        "tagseg losses {params.trainings} --output {output} --title {wildcards.dataset} > {log} 2>&1"


rule panels:
    input:
        priors=shard_files("results/{dataset}/priors/fgbg/{shard}.h5"),
        cams=shard_files("results/{dataset}/cams/{shard}.h5"),
        masks=shard_files("results/{dataset}/masks/multiclass-pairwise/{shard}.h5"),
        predictions=headline_predictions,
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        report(
            "results/{dataset}/panels.png",
            caption="../report/panels.rst",
            category="{dataset}",
            subcategory="Images",
            labels={"what": "from photograph to prediction"},
        ),
    log:
        "logs/{dataset}/panels.log",
    benchmark:
        "logs/{dataset}/panels.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        priors=lambda wildcards, input: repeated("--priors", input.priors),
        cams=lambda wildcards, input: repeated("--cams", input.cams),
        masks=lambda wildcards, input: repeated("--masks", input.masks),
        predictions=lambda wildcards, input: prediction_options(input.predictions),
        images=lambda wildcards: run_of(wildcards).panels,
    message:
        "{wildcards.dataset}: draw panels.png"
    shell:
        "tagseg panels --tags {input.tags} --classes {input.classes} --ground-truth {input.truth} "
        "{params.priors} {params.cams} {params.masks} {params.predictions} --split val --count {params.images} "
        "--output {output} > {log} 2>&1"


rule recipe_panels:
    input:
        masks=compared_masks,
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        report(
            "results/{dataset}/recipes.png",
            caption="../report/recipes.rst",
            category="{dataset}",
            labels={"table": "recipes"},
        ),
    log:
        "logs/{dataset}/recipe_panels.log",
    benchmark:
        "logs/{dataset}/recipe_panels.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        runs=lambda wildcards, input: repeated("--run", [f"{Path(file).parts[1]}={file}" for file in input.masks]),
        images=lambda wildcards: run_of(wildcards).panels,
    message:
        "{wildcards.dataset}: draw recipes.png"
    shell:
        "tagseg recipe-panels --tags {input.tags} --classes {input.classes} --ground-truth {input.truth} {params.runs} "
        "--count {params.images} --output {output} > {log} 2>&1"


rule crf_panels:
    input:
        regions=shard_files("results/{dataset}/regions/{shard}.h5"),
        pairwise=shard_files("results/{dataset}/masks/{prior}-pairwise/{shard}.h5"),
        higher=shard_files("results/{dataset}/masks/{prior}-higher_order/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        truth="results/{dataset}/ground_truth.csv",
    output:
        report(
            "results/{dataset}/crf_{prior}.png",
            caption="../report/crf.rst",
            category="{dataset}",
            subcategory="Method",
            labels={"what": "CRF with regions, {prior}"},
        ),
    log:
        "logs/{dataset}/crf_panels/{prior}.log",
    benchmark:
        "logs/{dataset}/crf_panels/{prior}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        regions=lambda wildcards, input: repeated("--regions", input.regions),
        pairwise=lambda wildcards, input: repeated("--pairwise", input.pairwise),
        higher=lambda wildcards, input: repeated("--higher-order", input.higher),
    message:
        "{wildcards.dataset}: draw crf_{wildcards.prior}.png"
    shell:
        "tagseg crf-panels --prior {wildcards.prior} --tags {input.tags} --classes {input.classes} "
        "--ground-truth {input.truth} {params.regions} {params.pairwise} {params.higher} --split val "
        "--output {output} > {log} 2>&1"
