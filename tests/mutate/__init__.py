"""Whether the tests notice a small mistake: one is made at random, its tests are run, and one or more have to fail."""
