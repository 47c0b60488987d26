"""Data sets: each module knows one layout on disk, and gives classes, records and (apart) truth masks."""
