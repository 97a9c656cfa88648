"""The real state machines over a seeded network in memory, in virtual time, with all its faults.

A simulation is a function of its seed: the same seed gives the same outcome, message by message.
"""
