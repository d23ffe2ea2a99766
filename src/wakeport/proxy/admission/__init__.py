"""Who comes in, and what is known of them: PROXY headers, rules, and first bytes that are only looked at."""
