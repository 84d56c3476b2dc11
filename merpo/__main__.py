"""`python -m merpo` is `merpo`, where the command is not on the path."""

from merpo.cli.app import main

if __name__ == "__main__":
    main()
