"""From what a stack file says to what components are given: pure functions, one module a concern."""
