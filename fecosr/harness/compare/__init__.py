"""Methods side by side on the same markets, in one process: what `fecosr compare` does.

    settings       everything that decides a result, as one TOML file could say it
    variants       the markets of a folder, as they are and with their families of items merged
    study          what a method is given: prepared markets, settings, a seed
    method         what a method is, and what it returns
    federation     rounds without a network: the sums of the real protocol, up to its stochastic rounding
    methods        one file per method, each after its paper
    registry       all of them, in the order of the report

A method trains in every market and returns one scorer per market; it never sees a test target. Markets stand
in one process here because this is research on data that one person may see; a method that needs that, as no
federated one does, says so in `breaks_isolation`.
"""
