"""Show what vectors tell an attacker: an update as it is, under its masks, in the sum, and in the noisy sum.

views.py       real rounds in this process, and what there is to see of one market in each
attackers.py   who took part, and which items were bought: two attackers, the same for every view
comparison.py  both attackers on all views, over many rounds, with intervals
"""
