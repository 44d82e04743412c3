"""`python -m edge_potion.cli`: as scripts have started the command since 0.1."""

from edge_potion.cli import main

if __name__ == "__main__":
    main()
