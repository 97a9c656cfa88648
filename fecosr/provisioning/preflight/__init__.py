"""Look a kit over before anything is started with it, and say what to do about what is found.

run           every check, in order
kit           what the checks look at
findings      what they say
credentials   keys, certificates, revocations, clock
agreement     plan, roster, policy, and what an earlier start left behind
disk          room, durability, who uses it
network       the port, the coordinator
interactions  the market's data
"""
