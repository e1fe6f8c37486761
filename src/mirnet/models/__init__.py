"""MIRNet-v2: `ls` shows the paper's Fig. 1, from the resampling inside a block to the network.

Everything here needs torch and nothing else.
"""
