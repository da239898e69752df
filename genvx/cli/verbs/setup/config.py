"""genvx config: show and change the defaults of genvx activate in this directory."""

from __future__ import annotations

from typing import Annotated

from genvx.cli.ask import options
from genvx.cli.ask.tomlvalues import as_typed, typed
from genvx.cli.parse.declaring import Argument, Context, Group
from genvx.cli.schema.document import print_document
from genvx.core.text import printable
from genvx.errors import InvalidInput
from genvx.project import changing, keys, reading

config = Group(
    "Defaults of genvx activate in this directory.",
    alone=True,
)

Key = Annotated[str, Argument(metavar="KEY", help="Option of genvx activate, without --.")]
Values = Annotated[list[str], Argument(metavar="VALUE", help="Value, as for the option.")]


@config.callback()
def _config(context: Context, json: options.Json = False) -> None:
    """Defaults of genvx activate in this directory.

    They are in the nearest .genvx.toml, here or above.

    Example: genvx config set gpus A100:2
    """
    if context.invoked_subcommand is None:
        show(json)


@config.command()
def show(json: options.Json = False) -> None:
    """Show the file that applies here, and its values.

    Example: genvx config show
    """
    path = reading.find()
    values = {} if path is None else reading.load(path)
    if json:
        shown = None if path is None else str(path)
        print_document("config", path=shown, values=values)
        return
    if path is None:
        print(f"No {reading.NAME} here or above; genvx config set KEY VALUE makes one")
        return
    why = reading.stranger(path)
    print(printable(str(path)) + ("" if why is None else f" (not loaded: it {why})"))
    for key, value in values.items():
        print(f"  {key} = {as_typed(value)}")


@config.command("path")
def path_() -> None:
    """Print the path of the file that applies here.

    Example: genvx config path
    """
    path = reading.find()
    if path is None:
        raise InvalidInput(f"no {reading.NAME} here or above")
    print(printable(str(path)))


@config.command("set")
def set_(key: Key, values: Values) -> None:
    """Set a key, in the nearest .genvx.toml or in a new one here.

    Example: genvx config set gpus 2
    """
    path, _ = changing.change({key: typed(key, values)})
    print(f"{key} = {as_typed(typed(key, values))} in {printable(str(path))}")


@config.command()
def unset(key: Key) -> None:
    """Remove a key from the nearest .genvx.toml.

    Example: genvx config unset gpus
    """
    path = reading.find()
    if path is None:
        raise InvalidInput(f"no {reading.NAME} here or above")
    # An unknown key is left to `change`, whose message suggests a similar one.
    if key in keys.KEYS and key not in reading.load(path):
        raise InvalidInput(f"{path} does not set {key}")
    changing.change({key: None})
    print(f"{key} is no longer set in {printable(str(path))}")
