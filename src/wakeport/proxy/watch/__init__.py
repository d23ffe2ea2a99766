"""Watching sockets from which the program itself accepts."""
