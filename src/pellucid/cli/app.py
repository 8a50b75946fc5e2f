"""The application that the commands belong to, and what their options share."""

from __future__ import annotations

from cyclopts import App, Parameter

import pellucid
from pellucid import data

app = App(name="pellucid", help="Deep learning you can see through.", version=pellucid.__version__)

#: An option whose help says itself what it is by default.
Option = Parameter(show_default=False)
#: What a shell reports for a program ended by Ctrl-C.
INTERRUPTED = 130
#: The help of an argument that names data.
DATA_HELP = f"{', '.join(data.names())}; or the path of a .csv file."
