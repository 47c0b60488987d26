"""Pre-train the embedded demo's network again, which ships with the package.

snakemake --cores 1 results/pretraining/shapes_network.pt
"""


rule pretrain_shapes:
    output:
        "results/pretraining/shapes_network.pt",
    log:
        "logs/pretraining/shapes_network.log",
    benchmark:
        "logs/pretraining/shapes_network.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=memory(4000),
        runtime=minutes(60),
    params:
        options="--seed 0 --steps 1900",
    message:
        "pre-train the demo's network on single shapes"
    shell:
        "tagseg pretrain-shapes {params.options} --threads {threads} --output {output} > {log} 2>&1"
