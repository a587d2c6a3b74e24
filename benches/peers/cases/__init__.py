"""What is measured, a module for each case. Each has `PARAMETERS` and `run(peer, params, report)`, and imports its peer inside
of `run` only, so that a missing package can be told before anything is loaded, and loading can be measured."""
