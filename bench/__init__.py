"""Side-by-side measurements: wakeport, and whatever else could do what it does.

A wake beside the recipe that it grows out of and a bare start through the API; the relay beside
systemd-socket-proxyd, HAProxy, Docker's published port and a direct connection; the bypass, for clients from
elsewhere, beside Docker's published port and a routed connection.

Every figure of a table comes from one run in one lab, the contenders taking turns. What counts are
medians and the ratios within the run: another machine, or another hour, gives other milliseconds.
"""
