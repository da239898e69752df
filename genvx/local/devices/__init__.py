"""The devices of this machine: what NVML says of them, and simulated ones."""
