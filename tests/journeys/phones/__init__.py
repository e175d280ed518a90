"""Telephones of other makes, and an ear, for the phone journey."""
