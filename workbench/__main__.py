"""``python -m workbench``: what the launcher hands over to."""

from workbench.cli import main

if __name__ == "__main__":
    main()
