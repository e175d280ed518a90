"""The program: one wiring place, one loop, supervised start and stop, and the e-mail channel."""
