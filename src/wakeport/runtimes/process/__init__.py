"""A plain program, for `wakeport try`: a child of the supervisor, in a session of its own.

No unit has this runtime, so it is none of kinds.RUNTIMES and has no host.py.
"""
