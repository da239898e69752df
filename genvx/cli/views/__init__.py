"""What verbs print. None of these modules imports typer: see `quick.py`."""
