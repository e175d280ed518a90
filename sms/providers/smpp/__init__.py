"""SMPP 3.4: a line to an operator's own message centre. Codec and session without I/O, carried by Twisted."""
