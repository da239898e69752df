"""Tests of the environments that runs need."""
