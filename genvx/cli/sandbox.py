import typer

sandbox = typer.Typer(help="A pretend fleet.", rich_markup_mode=None)


@sandbox.command()
def up() -> None: ...
@sandbox.command()
def down() -> None: ...
