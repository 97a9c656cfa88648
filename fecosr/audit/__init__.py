"""Judge a finished run from its folder alone: offline, and without trusting the coordinator that wrote it.

What is trusted is the roster: the pinned identities of the coordinator and of every market. Everything else
is recomputed, or its signature checked. Something that is missing is named and is never a pass.
"""
