"""The frozen trunk, and the probability maps made from its mean activations and from CAMs."""


rule prepare_trunk:
    input:
        tags="results/{dataset}/tags.csv",
        weights=weight_file,
    output:
        "results/{dataset}/trunk.h5",
    log:
        "logs/{dataset}/prepare_trunk.log",
    benchmark:
        "logs/{dataset}/prepare_trunk.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(NETWORK_MB),
        runtime=minutes(20),
        machine=INFERENCE,
        limits=FEATURE_LIMIT,
    params:
        network=section("network"),
        weights=weight_state,
        views=section("views"),
    message:
        "{wildcards.dataset}: prepare the trunk; maps of all photographs are stored up to {CONFIG.features_gb:g} GB"
    shell:
        "tagseg prepare-trunk --tags {input.tags} --output {output} {params.network} {params.views} "
        "{resources.machine} {resources.limits} --threads {threads} > {log} 2>&1"


# Each photograph goes through the trunk here, once.
rule extract:
    input:
        tags="results/{dataset}/tags.csv",
        trunk="results/{dataset}/trunk.h5",
    output:
        activations=intermediate("results/{dataset}/activations/{shard}.h5"),
    log:
        "logs/{dataset}/extract/{shard}.log",
    benchmark:
        "logs/{dataset}/extract/{shard}.tsv"
    wildcard_constraints:
        dataset=datasets_with(lambda run: not needs_features(run)),
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
        features=lambda wildcards, output: features_output(output),
    message:
        "{wildcards.dataset}: run the trunk, shard {wildcards.shard}"
    shell:
        "tagseg extract --tags {input.tags} --trunk {input.trunk} --output {output.activations} {params.features} "
        "{params.shard} {resources.machine} --threads {threads} > {log} 2>&1"


# The same where class activation maps or a second round are made from the trunk's maps.
use rule extract as extract_features with:
    output:
        activations=intermediate("results/{dataset}/activations/{shard}.h5"),
        features=intermediate("results/{dataset}/features/{shard}.h5"),
    log:
        "logs/{dataset}/extract_features/{shard}.log",
    benchmark:
        "logs/{dataset}/extract_features/{shard}.tsv"
    wildcard_constraints:
        dataset=datasets_with(needs_features),
    message:
        "{wildcards.dataset}: run the trunk and keep its maps, shard {wildcards.shard}"


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
        sources=lambda wildcards, input: maps_options(input, "activations", "cams"),
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
        features="results/{dataset}/features/{shard}.h5",
        trunk="results/{dataset}/trunk.h5",
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
        settings=section("second_round", SampleSettings),
        crf=section("crf", PairwiseMaskSettings),
    message:
        "{wildcards.dataset}: confident pixels of the {wildcards.prior} maps, shard {wildcards.shard}"
    shell:
        "tagseg second-round sample --tags {input.tags} --maps {input.maps} --features {input.features} "
        "--trunk {input.trunk} --output {output} {params.shard} {params.seed} {params.settings} {params.crf} "
        "{resources.machine} --threads {threads} > {log} 2>&1"


rule second_round_fit:
    input:
        samples=shard_files("results/{dataset}/second_round/{prior}/samples/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
    output:
        "results/{dataset}/second_round/{prior}/model.h5",
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
        model="results/{dataset}/second_round/{prior}/model.h5",
        features="results/{dataset}/features/{shard}.h5",
        trunk="results/{dataset}/trunk.h5",
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
        weight=section("second_round", WeightSettings),
    message:
        "{wildcards.dataset}: second round of the {wildcards.prior} maps, shard {wildcards.shard}"
    shell:
        "tagseg second-round apply --tags {input.tags} --maps {input.maps} --model {input.model} "
        "--features {input.features} --trunk {input.trunk} --output {output} {params.shard} {params.weight} "
        "{resources.machine} --threads {threads} > {log} 2>&1"
