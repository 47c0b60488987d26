"""Score networks: training, scores and label maps."""


rule train_segmentation:
    input:
        masks=training_masks,
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        weights=weight_file,
    output:
        model="results/{dataset}/segmentation/{experiment}/model.pt",
        training="results/{dataset}/segmentation/{experiment}/training.csv",
    log:
        "logs/{dataset}/train_segmentation/{experiment}.log",
    benchmark:
        "logs/{dataset}/train_segmentation/{experiment}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        mem_mb=memory(8000),
        runtime=training_minutes("segmentation"),
        gpu=GPUS,
        machine=TRAINING,
    params:
        masks=lambda wildcards, input: repeated("--masks", input.masks),
        experiment=experiment_options,
        checkpoints="results/{dataset}/checkpoints/segmentation/{experiment}",
        seed=seed_option,
        network=section("network"),
        weights=weight_state,
        options=section("segmentation"),
    message:
        "{wildcards.dataset}: train the score network of {wildcards.experiment}"
    shell:
        "tagseg train-segmentation --tags {input.tags} --classes {input.classes} {params.masks} --output {output.model} "
        "--log {output.training} --checkpoints {params.checkpoints} {params.experiment} {params.seed} {params.network} {params.options} "
        "{resources.machine} --threads {threads} > {log} 2>&1"


rule score:
    input:
        model="results/{dataset}/segmentation/{experiment}/model.pt",
        tags="results/{dataset}/tags.csv",
    output:
        intermediate("results/{dataset}/predictions/{experiment}/{split}/{shard}.h5"),
    log:
        "logs/{dataset}/score/{experiment}/{split}/{shard}.log",
    benchmark:
        "logs/{dataset}/score/{experiment}/{split}/{shard}.tsv"
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
    message:
        "{wildcards.dataset}: {wildcards.experiment} scores {wildcards.split}, shard {wildcards.shard}"
    shell:
        "tagseg score --model {input.model} --tags {input.tags} --split {wildcards.split} --output {output} "
        "{params.shard} {resources.machine} --threads {threads} > {log} 2>&1"


rule smooth_predictions:
    input:
        unpack(regions_behind),
        tags="results/{dataset}/tags.csv",
        maps="results/{dataset}/predictions/{experiment}/{split}/{shard}.h5",
    output:
        "results/{dataset}/predictions/{experiment}/{split}-{crf}/{shard}.h5",
    log:
        "logs/{dataset}/smooth_predictions/{experiment}/{split}-{crf}/{shard}.log",
    benchmark:
        "logs/{dataset}/smooth_predictions/{experiment}/{split}-{crf}/{shard}.tsv"
    priority: 1  # before further scores, so that few wait at a time
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10, shard=10),
    params:
        shard=shard_options,
        regions=lambda wildcards, input: region_option(input),
        options=crf_options("scores"),
    message:
        "{wildcards.dataset}: label maps of {wildcards.experiment}, CRF {wildcards.crf}, shard {wildcards.shard}"
    shell:
        "tagseg smooth --crf {wildcards.crf} --tags {input.tags} --maps {input.maps} {params.regions} --split {wildcards.split} "
        "--output {output} {params.shard} {params.options} > {log} 2>&1"


rule export_predictions:
    input:
        labels=shard_files("results/{dataset}/predictions/{experiment}/{split}-{crf}/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
    output:
        directory("results/{dataset}/predictions/{experiment}/{split}-{crf}-png"),
    log:
        "logs/{dataset}/export_predictions/{experiment}/{split}-{crf}.log",
    benchmark:
        "logs/{dataset}/export_predictions/{experiment}/{split}-{crf}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, dataset=0.1),
    params:
        labels=lambda wildcards, input: repeated("--labels", input.labels),
    message:
        "{wildcards.dataset}: predictions of {wildcards.experiment} as PNG"
    shell:
        "tagseg export-png {params.labels} --tags {input.tags} --split {wildcards.split} --output {output} "
        "> {log} 2>&1"


rule submission:
    input:
        labels=submitted_predictions,
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
    output:
        "results/{dataset}/submission.tar.gz",
    log:
        "logs/{dataset}/submission.log",
    benchmark:
        "logs/{dataset}/submission.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, dataset=0.1),
    params:
        labels=lambda wildcards, input: repeated("--labels", input.labels),
        split=lambda wildcards: run_of(wildcards).submission,
    message:
        "{wildcards.dataset}: pack the predictions of {params.split} for the test server"
    shell:
        "tagseg submission {params.labels} --tags {input.tags} --classes {input.classes} --split {params.split} "
        "--output {output} > {log} 2>&1"
