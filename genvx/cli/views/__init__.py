"""What verbs print. No module of these imports typer: see `quick.py`."""
