"""Run a whole federation as real processes on this machine, break it on purpose, and check what came out.

scenario            what to run, what to break, what to expect (TOML)
faults, expect      the two sections of it that are its own
schema              every key of it, for people
processes           start, watch, stop, limit, kill: log events and exits, in order
warm_starts         market nodes from a process that has imported everything already
links, garbage      the network in between, and a stranger in it
lies                what a coordinator can tell a node, told by lying_coordinator
events              what happened, as values
observation         what has happened so far, folded from events
sabotage            which faults are due, and what they do
usage               how much memory the processes have
runner              one scenario, from kits to the last exit
conclusion          what it came to, and the files that keep it
expectations        the verdict, expectation by expectation, in words
recomputation       every round's sum, trained again
summary             the figures of a finished run
results             JUnit XML and JSON of several
display             progress on a terminal, or as plain lines
tables              the figures as a table
demo                the built-in run, or the same on markets from a folder
scenarios/          shipped scenarios
"""
