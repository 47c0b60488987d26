"""Mean activations, and the probability maps made from them and from CAMs."""


rule extract:
    input:
        tags="results/{dataset}/tags.csv",
        weights=weight_file,
    output:
        intermediate("results/{dataset}/activations/{shard}.h5"),
    log:
        "logs/{dataset}/extract/{shard}.log",
    benchmark:
        "logs/{dataset}/extract/{shard}.tsv"
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
        network=section("network"),
        weights=weight_state,
        views=section("views"),
    message:
        "{wildcards.dataset}: extract activations, shard {wildcards.shard}"
    shell:
        "tagseg extract --tags {input.tags} --output {output} {params.shard} {params.network} "
        "{params.views} {resources.machine} --threads {threads} > {log} 2>&1"


rule fuse:
    input:
        unpack(maps_behind),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
    output:
        intermediate("results/{dataset}/priors/{prior}/{shard}.h5"),
    log:
        "logs/{dataset}/fuse/{prior}/{shard}.log",
    benchmark:
        "logs/{dataset}/fuse/{prior}/{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, shard=1),
    params:
        sources=lambda wildcards, input: maps_options(input),
        shard=shard_options,
        options=prior_options,
    message:
        "{wildcards.dataset}: {wildcards.prior} maps, shard {wildcards.shard}"
    shell:
        "tagseg fuse --prior {wildcards.prior} --tags {input.tags} --classes {input.classes} {params.sources} "
        "--output {output} {params.shard} {params.options} > {log} 2>&1"


# The second round: confident pixels of the first, a regression fitted to them, and its probabilities everywhere.
rule second_round_sample:
    input:
        tags="results/{dataset}/tags.csv",
        maps="results/{dataset}/priors/{prior}/{shard}.h5",
        weights=weight_file,
    output:
        intermediate("results/{dataset}/second_round/{prior}/samples/{shard}.h5"),
    log:
        "logs/{dataset}/second_round_sample/{prior}/{shard}.log",
    benchmark:
        "logs/{dataset}/second_round_sample/{prior}/{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=memory(NETWORK_MB),
        runtime=minutes(10, shard=VIEWS + 10),
        gpu=GPUS,
        machine=INFERENCE,
    params:
        shard=shard_options,
        seed=seed_option,
        network=section("network"),
        weights=weight_state,
        views=section("views"),
        settings=section("second_round", SampleSettings),
        crf=section("crf", PairwiseMaskSettings),
    message:
        "{wildcards.dataset}: confident pixels of the {wildcards.prior} maps, shard {wildcards.shard}"
    shell:
        "tagseg second-round sample --tags {input.tags} --maps {input.maps} --output {output} {params.shard} {params.seed} "
        "{params.network} {params.views} {params.settings} {params.crf} {resources.machine} --threads {threads} > {log} 2>&1"


rule second_round_fit:
    input:
        samples=shard_files("results/{dataset}/second_round/{prior}/samples/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
    output:
        "results/{dataset}/second_round/{prior}/model.pt",
    log:
        "logs/{dataset}/second_round_fit/{prior}.log",
    benchmark:
        "logs/{dataset}/second_round_fit/{prior}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(8000),
        runtime=minutes(60),
    params:
        samples=lambda wildcards, input: repeated("--samples", input.samples),
        settings=section("second_round", RegressionSettings),
    message:
        "{wildcards.dataset}: fit the regression of the {wildcards.prior} maps' second round"
    shell:
        "tagseg second-round fit --tags {input.tags} --classes {input.classes} {params.samples} --output {output} "
        "{params.settings} --threads {threads} > {log} 2>&1"


rule second_round_apply:
    input:
        tags="results/{dataset}/tags.csv",
        maps="results/{dataset}/priors/{prior}/{shard}.h5",
        model="results/{dataset}/second_round/{prior}/model.pt",
        weights=weight_file,
    output:
        intermediate("results/{dataset}/second_round/{prior}/maps/{shard}.h5"),
    log:
        "logs/{dataset}/second_round_apply/{prior}/{shard}.log",
    benchmark:
        "logs/{dataset}/second_round_apply/{prior}/{shard}.tsv"
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
        network=section("network"),
        weights=weight_state,
        views=section("views"),
        weight=section("second_round", WeightSettings),
    message:
        "{wildcards.dataset}: second round of the {wildcards.prior} maps, shard {wildcards.shard}"
    shell:
        "tagseg second-round apply --tags {input.tags} --maps {input.maps} --model {input.model} --output {output} "
        "{params.shard} {params.network} {params.views} {params.weight} {resources.machine} --threads {threads} > {log} 2>&1"
