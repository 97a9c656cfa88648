"""What can be seen of a running party, as values: a fold over its ledger entries and log lines.

    lines       one log line, and how to read its fields
    position    which round, attempt and phase a line belongs to
    histogram   durations in buckets
    view        what is known of a run; `markets` of one market in it
    entries     what a ledger entry adds to a view; `events` what a log line adds
    node        what is known of one market node
    budget      what the run has cost each market's users
    curves      training curves as points
    spans       rounds, attempts and phases as traces
    page        a view as the JSON that the dashboard shows
    measures    a view as Prometheus metrics; `node_measures` those of a node

Nothing here is asked by the protocol, and nothing here asks it: views only follow.
"""
