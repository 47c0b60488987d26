"""Label maps of the training images, from the priors."""


rule smooth_masks:
    input:
        unpack(regions_behind),
        tags="results/{dataset}/tags.csv",
        maps=final_maps,
    output:
        "results/{dataset}/masks/{prior}-{crf}/{shard}.h5",
    log:
        "logs/{dataset}/smooth_masks/{prior}-{crf}/{shard}.log",
    benchmark:
        "logs/{dataset}/smooth_masks/{prior}-{crf}/{shard}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(2000),
        runtime=minutes(10, shard=10),
    params:
        shard=shard_options,
        regions=lambda wildcards, input: region_option(input),
        options=crf_options("probabilities"),
    message:
        "{wildcards.dataset}: {wildcards.prior} masks, CRF {wildcards.crf}, shard {wildcards.shard}"
    shell:
        "tagseg smooth --crf {wildcards.crf} --tags {input.tags} --maps {input.maps} {params.regions} --output {output} "
        "{params.shard} {params.options} > {log} 2>&1"


rule export_masks:
    input:
        labels=shard_files("results/{dataset}/masks/{prior}-{crf}/{shard}.h5"),
        tags="results/{dataset}/tags.csv",
    output:
        directory("results/{dataset}/masks/{prior}-{crf}-png"),
    log:
        "logs/{dataset}/export_masks/{prior}-{crf}.log",
    benchmark:
        "logs/{dataset}/export_masks/{prior}-{crf}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, dataset=0.1),
    params:
        labels=lambda wildcards, input: repeated("--labels", input.labels),
    message:
        "{wildcards.dataset}: {wildcards.prior} masks as PNG"
    shell:
        "tagseg export-png {params.labels} --tags {input.tags} --output {output} > {log} 2>&1"
