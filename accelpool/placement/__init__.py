# SPDX-License-Identifier: Apache-2.0
"""What OpenStack Placement knows of the pool, so that an unmodified Nova can ask for a slice.

``names`` (how things are called there), ``groups`` (what a profile asks of Placement), ``providers`` (what Placement
should know) and ``difference`` (how to get there) are pure; ``client`` speaks HTTP and ``sync`` does the work.
"""
