"""`python -m idp` is `satupintu`."""

from idp.cli import main

main()
