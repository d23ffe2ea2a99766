"""What runs a container: one folder a runtime, and no runtime's name outside of it."""
