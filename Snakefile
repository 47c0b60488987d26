# What users type at; the workflow lies where the catalog of Snakemake workflows looks for it.
include: "workflow/Snakefile"


# An included file cannot set the default target, so it is named here.
rule default:
    default_target: True
    input:
        rules.all.input,
