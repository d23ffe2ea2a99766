"""The page that a browser sees while the container wakes."""
