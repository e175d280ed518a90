"""The e-mail channel: letters in over SMTP, answers out, threads kept together."""
