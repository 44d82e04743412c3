"""`python -m edge_potion`: the same as `edge-potion`."""

from edge_potion.cli import main

if __name__ == "__main__":
    main()
