"""What genvx writes for other programs: entries of ssh_config, and kernels of Jupyter."""
