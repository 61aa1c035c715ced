"""Settings for the whole suite: shapes are checked at run time, and each worker uses one thread."""

import torch
from jaxtyping import install_import_hook

# The numeric tower lets an int stand where a float is asked for, as every type checker does.
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"

# Wraps every function of the package as it is imported, so it has to come before any test module.
install_import_hook("bitscape", CHECKER)

# Workers share the cores, and one thread gives the same sums on every machine.
torch.set_num_threads(1)
