"""Programs around models, each a process of its own that answers over the pipe of `ivr.child`."""
