"""The verbs: a module each. A verb parses, calls, and has a view print the answer."""
