"""Docker, over the Engine API."""
