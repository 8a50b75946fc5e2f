"""``python -m pellucid``: the ``pellucid`` command of the interpreter that runs it."""

from pellucid.cli import main

if __name__ == "__main__":
    main()
