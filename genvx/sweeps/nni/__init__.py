"""Configuration files of NNI, read into values of genvx."""
