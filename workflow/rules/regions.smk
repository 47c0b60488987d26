"""Crisp regions of the images."""


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
