"""Evaluation against the truth, and its tables. Of the other rules, only those of pictures read ground_truth.csv."""


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
        facts=mask_facts,
    message:
        "{wildcards.dataset}: evaluate the {wildcards.prior} masks of {wildcards.split}, CRF {wildcards.crf}"
    shell:
        "tagseg evaluate {params.labels} --tags {input.tags} --ground-truth {input.truth} "
        "--classes {input.classes} {params.protocol} "
        "{params.facts} --output {output} > {log} 2>&1"


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
