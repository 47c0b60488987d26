"""Crisp regions of the images, and their picture."""


rule regions:
    input:
        tags="results/{dataset}/tags.csv",
    output:
        "results/{dataset}/regions/{shard}.h5",
    log:
        "logs/{dataset}/regions/{shard}.log",
    benchmark:
        "logs/{dataset}/regions/{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10, shard=20),
    params:
        shard=shard_options,
        options=section("regions"),
    message:
        "{wildcards.dataset}: crisp regions, shard {wildcards.shard}"
    shell:
        "tagseg regions --tags {input.tags} --output {output} {params.shard} {params.options} > {log} 2>&1"


rule region_panels:
    input:
        tags="results/{dataset}/tags.csv",
    output:
        report(
            "results/{dataset}/regions.png",
            caption="../report/regions.rst",
            category="{dataset}",
            subcategory="Method",
            labels={"what": "crisp regions"},
        ),
    log:
        "logs/{dataset}/region_panels.log",
    benchmark:
        "logs/{dataset}/region_panels.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20),
    params:
        options=section("regions", CRISP_KEYS),
    message:
        "{wildcards.dataset}: draw regions.png"
    shell:
        "tagseg region-panels --tags {input.tags} --output {output} {params.options} > {log} 2>&1"
