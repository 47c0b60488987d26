"""Mean activations, and the probability maps made of them and of CAMs."""


rule extract:
    input:
        tags="results/{dataset}/tags.csv",
    output:
        "results/{dataset}/activations/{shard}.h5",
    log:
        "logs/{dataset}/extract/{shard}.log",
    benchmark:
        "logs/{dataset}/extract/{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=GPUS,
    params:
        shard=shard_options,
        network=section("network"),
    message:
        "{wildcards.dataset}: extract activations, shard {wildcards.shard}"
    shell:
        "tagseg extract --tags {input.tags} --output {output} {params.shard} {params.network} "
        "{INFERENCE} --threads {threads} > {log} 2>&1"


rule fuse:
    input:
        unpack(maps_behind),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
    output:
        "results/{dataset}/priors/{prior}/{shard}.h5",
    log:
        "logs/{dataset}/fuse/{prior}/{shard}.log",
    benchmark:
        "logs/{dataset}/fuse/{prior}/{shard}.tsv"
    conda:
        ENVIRONMENT
    resources:
        mem_mb=1000,
        runtime=60,
    params:
        sources=lambda wildcards, input: maps_options(input),
        shard=shard_options,
        options=prior_options,
    message:
        "{wildcards.dataset}: {wildcards.prior} maps, shard {wildcards.shard}"
    shell:
        "tagseg fuse --prior {wildcards.prior} --tags {input.tags} --classes {input.classes} {params.sources} "
        "--output {output} {params.shard} {params.options} > {log} 2>&1"
