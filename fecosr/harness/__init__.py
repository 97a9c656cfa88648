"""Run a whole federation as real processes on this machine, break it on purpose, and check what came out.

scenario       what to run, what to break, what to expect (TOML)
processes      start, watch, kill: log events and exits, in order
events         what a process did, as values
observation    what has happened so far, folded from events
runner         one scenario, from kits to the last exit
conclusion     what it came to, and the files that keep it
expectations   the verdict, expectation by expectation, in words
summary        the figures of a finished run
display        progress on a terminal, or as plain lines
tables         the figures as a table
demo           the built-in run, or the same on markets from a folder
scenarios/     shipped scenarios
"""
