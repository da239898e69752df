"""python -m genvx"""

from genvx.cli.main import main

main()
