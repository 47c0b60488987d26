"""The localization network and its class activation maps."""


rule localization:
    input:
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
    output:
        model="results/{dataset}/localization/model.pt",
        training="results/{dataset}/localization/training.csv",
    params:
        seed=seed_option,
        network=section("network"),
        options=localization_options,
    log:
        "logs/{dataset}/localization.log",
    benchmark:
        "logs/{dataset}/localization.tsv"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=720,
        gpu=GPUS,
    conda:
        ENVIRONMENT
    message:
        "{wildcards.dataset}: train the localization network on tags"
    shell:
        "{TAGSEG} localization --tags {input.tags} --classes {input.classes} --output {output.model} "
        "--log {output.training} {params.seed} {params.network} {params.options} "
        "--device {CONFIG.device} --threads {threads} > {log} 2>&1"


rule cams:
    input:
        tags="results/{dataset}/tags.csv",
        model="results/{dataset}/localization/model.pt",
    output:
        "results/{dataset}/cams/{shard}.h5",
    params:
        shard=shard_options,
    log:
        "logs/{dataset}/cams/{shard}.log",
    benchmark:
        "logs/{dataset}/cams/{shard}.tsv"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
        gpu=GPUS,
    conda:
        ENVIRONMENT
    message:
        "{wildcards.dataset}: class activation maps, shard {wildcards.shard}"
    shell:
        "{TAGSEG} cams --tags {input.tags} --model {input.model} --output {output} {params.shard} "
        "--device {CONFIG.device} --threads {threads} > {log} 2>&1"
