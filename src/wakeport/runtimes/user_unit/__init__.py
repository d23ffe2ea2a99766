"""Any service of a user's own manager, by that manager."""
