"""The only part of wakeport that changes the system."""
