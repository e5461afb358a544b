"""`python -m raysynth`: the command line where no script was installed, as in a job whose code came with it."""

from raysynth.cli.main import main

if __name__ == "__main__":
    main()
