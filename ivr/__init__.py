"""The phone channel: menus, calls, recordings, answers read out. It reaches core through `core.channels` only."""
