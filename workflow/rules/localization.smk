"""The localization network and its class activation maps."""


rule train_localization:
    input:
        unpack(features_behind_head),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        weights=weight_file,
    output:
        model="results/{dataset}/localization/model.pt",
        training="results/{dataset}/localization/training.csv",
    log:
        "logs/{dataset}/train_localization.log",
    benchmark:
        "logs/{dataset}/train_localization.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=memory(8000),
        runtime=training_minutes("localization"),
        gpu=GPUS,
        machine=TRAINING,
    params:
        checkpoints="results/{dataset}/checkpoints/localization",
        seed=seed_option,
        network=section("network"),
        weights=weight_state,
        options=localization_options,
        features=lambda wildcards, input: repeated("--features", input.get("features", [])),
    message:
        "{wildcards.dataset}: train the localization network on tags"
    shell:
        "tagseg train-localization --tags {input.tags} --classes {input.classes} --output {output.model} "
        "--log {output.training} --checkpoints {params.checkpoints} {params.seed} {params.network} "
        "{params.options} {params.features} {resources.machine} --threads {threads} > {log} 2>&1"


rule cams:
    input:
        unpack(maps_behind_cams),
        tags="results/{dataset}/tags.csv",
        model="results/{dataset}/localization/model.pt",
    output:
        intermediate("results/{dataset}/cams/{shard}.h5"),
    log:
        "logs/{dataset}/cams/{shard}.log",
    benchmark:
        "logs/{dataset}/cams/{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=memory(NETWORK_MB),
        runtime=minutes(10, shard=VIEWS),
        gpu=GPUS,
        machine=INFERENCE,
    params:
        shard=shard_options,
        views=section("views"),
        sources=lambda wildcards, input: maps_options(input, "features", "trunk"),
    message:
        "{wildcards.dataset}: class activation maps, shard {wildcards.shard}"
    shell:
        "tagseg cams --tags {input.tags} --model {input.model} --output {output} {params.sources} "
        "{params.shard} {params.views} {resources.machine} --threads {threads} > {log} 2>&1"
