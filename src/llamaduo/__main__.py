"""``python -m llamaduo`` is the ``llamaduo`` command."""

from llamaduo.cli.app import main

if __name__ == "__main__":
    main()
