"""Stages: one file for each rule, each with one `run` that reads artifacts, calls the core and writes artifacts."""
