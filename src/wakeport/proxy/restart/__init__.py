"""From one process of the proxy to the next, with every connection."""
