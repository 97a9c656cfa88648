"""Methods side by side on the same markets, in one process: what `fecosr compare` does.

    settings        everything that decides a figure, as one TOML file could say it
    variants        the markets of a folder, as they are and with their families of items merged
    study           what a method is given: prepared markets, settings, a seed
    method          what a method is, and what it returns
    federation      rounds without a network: the sums of the real protocol, up to its stochastic rounding
    pretraining     shared pretraining and local fine-tuning, of which most methods are made
    pooling         all markets' items on one list, for methods that break isolation and for the control
    methods         one file per method, each after its paper
    registry        all of them, in the order of the report

    cells, store    one method on one variant under one seed, down to every user's rank, and its file
    provenance      what a figure depends on besides data, settings and seed
    jobs, workers   what is left to do, and the processes that do it
    display         progress

    heterogeneity   how far the markets pull apart in a round
    contraction     how much closer their targets come under S2CE
    statistics      per-user gains and intervals from drawing users
    summary         figures, differences to Local, and who lost by taking part
    outputs, terminal, plots, report    what is written and shown
    run             all of it, from request to report

A method trains in every market and returns one scorer per market; it never sees a test target. Markets stand
in one process here because this is research on data that one person may see; a method that needs that, as no
federated one does, says so in `breaks_isolation`.
"""
