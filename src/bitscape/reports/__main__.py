"""`python -m bitscape.reports`: make the demo."""

import sys

from bitscape.reports.demo import main

sys.exit(main())
