"""Windows by the clock in which a service is kept awake, and how a keep is said to its supervisor."""
