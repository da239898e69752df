"""The version, alone in a module so that neither setuptools nor the agent imports more to
learn it.
"""

__version__ = "0.1.0"
