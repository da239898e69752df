"""Tuners choose the parameters of each trial; pruners end trials that fall behind."""
