"""The table of contents."""

pytest_plugins = [
    "fixtures.early",  # --only-hosts, and the connections that open meanwhile
    "fixtures.watchcall",  # --watch RUN: looks at one run until its end
    "fixtures.drilling",  # --drill: acts, where the context allows it
    "fixtures.gate",  # reads the call, looks, gives the verdict
    "fixtures.checkout",  # --workflows DIR: the files of a checkout instead of a look (after the gate, so that it configures first)
    "fixtures.given",  # facts by argument name
    "fixtures.hosts",  # testinfra's `host`, for checks/site/
    "reports.machines",  # history, summary.md, metrics.prom, JUnit
    "reports.terminal",  # one line a guarantee, the cards, the verdict
    "reports.page",  # the same as one HTML file
    "fixtures.lastdoor",  # redacts whatever is printed, logged or reported (last, so that it configures first)
]
