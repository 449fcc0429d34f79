"""The studies: each module adds its options to the command line, and runs."""
