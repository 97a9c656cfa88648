"""Attack training as the worst adversary of the promise would, and compare the outcome with the claim.

terms.py         what is attacked: a plan in mode "distributed", and how much is invested
population.py    generated markets; canaries among the users of the first
sabotage.py      training as it is, and broken on purpose
parties.py       keys, entropy and setups of everybody, from a seed
rounds.py        a whole run in this process: the parties' own state machines and training code
canaries.py      scores of canaries, from every opened sum
one_user.py      sums with one user and without
measurements.py  how much one user changes a sum; how much noise there is in one
verdict.py       what it came to, in words and for programs
audit.py         all of it, one after the other
"""
