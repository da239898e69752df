"""Values as the documented JSON has them: stable names, with units in the names.

docs/reference/schema.json describes them. The wire (core/wire) has other tables, and is private.
"""
