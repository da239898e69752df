"""The command line: parse, call the library, render.

Nothing here decides anything, and nothing outside prints (`shown` renders for both ends).
"""
