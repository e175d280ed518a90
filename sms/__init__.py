"""The SMS channel: one text to a short line becomes a ticket, the answer comes back as a text."""
