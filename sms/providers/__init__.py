"""One file a provider; each keeps its own tree of errors and describes its own settings."""
