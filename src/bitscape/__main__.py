"""`python -m bitscape`."""

import sys

from bitscape.cli import main

sys.exit(main())
