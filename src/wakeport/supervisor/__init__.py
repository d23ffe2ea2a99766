"""The privileged half of a wake: start the container, say when it is ready, put it to sleep."""
