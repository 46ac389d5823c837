//! Decides: numbers, policy, directory, routing. Pure.
