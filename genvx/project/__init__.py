"""`.genvx.toml`: defaults of `genvx activate` for a directory and those below it.

    name = "train"
    gpus = "A100:2"        # every key is an option of genvx activate
    gpu-memory = "40G"
    time = "8h"

Values are written as for the option, or as a TOML number, list or boolean where that fits.
"""
