"""The media plane: all calls' RTP in one clock, in a thread of its own."""
