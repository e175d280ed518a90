"""Configuration as checked data: files in, frozen values out, every fault with file, line and remedy."""
