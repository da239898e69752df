"""For people: parse, call the library, render.

Nothing here decides anything, nothing outside prints.
"""
