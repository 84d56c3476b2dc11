"""Entry point of `python -m merpo`, for when the command `merpo` is not on the path."""

from merpo.cli.app import main

if __name__ == "__main__":
    main()
