"""One market's training over several processes of torchrun, each with a shard of the catalogue's rows.

`group`: what the processes say to each other, and a name for one that is gone. `shard`: the places where
training looks at the whole catalogue, done with a part of it. `handing_out`: shard 0 gives every other
process what it computes with. `learner`: shard 0 is the market's learner, the others follow it.

The softmax is still over the whole catalogue, and what comes out is the update of one process up to rounding,
dropout included: all shards go through the same batches with the same encoder and the same random numbers,
and divide what is nearly all of the work, the products with the catalogue.
"""
