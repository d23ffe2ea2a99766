"""UDP: flows instead of connections."""
