"""Side-by-side measurements: wakeport, the recipe that it grows out of, and a bare start through the API.

Every figure of a table comes from one run in one lab, the contenders taking turns. What counts are
medians and the ratios within the run: another machine, or another hour, gives other milliseconds.
"""
