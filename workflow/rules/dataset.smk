"""The index of a data set and, separately, its ground truth."""


rule make_shapes:
    output:
        images=directory("results/{dataset}/data/images"),
        masks=directory("results/{dataset}/data/masks"),
        tags="results/{dataset}/data/tags.csv",
    log:
        "logs/{dataset}/make_shapes.log",
    benchmark:
        "logs/{dataset}/make_shapes.tsv"
    wildcard_constraints:
        dataset=datasets_with(lambda run: run.data.kind == "shapes"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, dataset=0.1),
    params:
        options=section("data"),
    message:
        "{wildcards.dataset}: make the embedded demo's scenes"
    shell:
        "tagseg make-shapes --images {output.images} --masks {output.masks} --tags {output.tags} "
        "{params.options} > {log} 2>&1"


# Runs only on request: no rule reads its output. An index lists the files that it finds.
rule download_voc:
    output:
        "data/voc2012.md5",
    log:
        "logs/download_voc.log",
    benchmark:
        "logs/download_voc.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(500),
        runtime=minutes(600),
    params:
        folder=lambda wildcards, output: Path(output[0]).parent,
    message:
        "download VOC 2012 and SBD"
    shell:
        "tagseg download-voc --folder {params.folder} --output {output} > {log} 2>&1"


rule index:
    input:
        source_files("tags.csv", "images"),
    output:
        tags="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
    # the report of faults is a log, which Snakemake keeps if the rule fails
    log:
        text="logs/{dataset}/index.log",
        report="results/{dataset}/index_report.csv",
    benchmark:
        "logs/{dataset}/index.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=memory(lambda wildcards: layout_of(wildcards).memory),
        runtime=minutes(30, dataset=0.2),
        truth=truth_options,
    params:
        kind=source_kind,
        options=index_options,
        state=file_state("photographs"),
        tables=source_state,
    message:
        "{wildcards.dataset}: index images and tags"
    shell:
        "tagseg index {params.kind} {params.options} {resources.truth} --output {output.tags} --classes-file {output.classes} "
        "--report {log.report} --threads {threads} > {log.text} 2>&1"


# Draws PNG masks if a data set has its truth as outlines or in other formats. Only the rule below reads them.
rule render_truth:
    input:
        source_files("tags.csv", "masks"),
        index="results/{dataset}/tags.csv",
    output:
        directory("results/{dataset}/truth"),
    log:
        "logs/{dataset}/render_truth.log",
    benchmark:
        "logs/{dataset}/render_truth.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(lambda wildcards: layout_of(wildcards).memory),
        runtime=minutes(30, dataset=0.5),
    params:
        kind=source_kind,
        options=source_options,
        state=file_state("masks"),
    message:
        "{wildcards.dataset}: draw the truth masks, for evaluation only"
    shell:
        "tagseg render-truth {params.kind} {params.options} --index {input.index} --output {output} > {log} 2>&1"


# The only rule that lists truth masks. No rule that leads to a mask or a model reads its output.
rule ground_truth:
    input:
        source_files("tags.csv", "masks"),
        index="results/{dataset}/tags.csv",
        classes="results/{dataset}/classes.txt",
        rendered=rendered_truth,
    output:
        "results/{dataset}/ground_truth.csv",
    log:
        "logs/{dataset}/ground_truth.log",
    benchmark:
        "logs/{dataset}/ground_truth.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10, dataset=0.2),
    params:
        kind=source_kind,
        options=source_options,
        state=file_state("masks"),
        rendered=lambda wildcards, input: (f"--rendered {input.rendered}" if input.rendered else ""),
    message:
        "{wildcards.dataset}: list the truth masks, for evaluation only"
    shell:
        "tagseg ground-truth {params.kind} {params.options} --index {input.index} --classes-file {input.classes} "
        "{params.rendered} --output {output} > {log} 2>&1"
