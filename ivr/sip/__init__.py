"""SIP: messages, transactions, dialogs, digest, SDP without I/O; the line that carries them."""
