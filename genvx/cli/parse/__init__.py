"""How the words of a command line become a call of a verb, whose module is loaded then."""
