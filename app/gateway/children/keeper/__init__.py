"""What runs in the keeper's process and in the minders that it forks.

Its modules avoid what costs memory to import (`typing`, `pathlib`, `contextlib`, `socket`, `signal`): each child pays.
"""
