"""Executors: where the members of a selection train. Whatever is chosen, the results are the same bits.

========= ================================================= ==========================================================
executor  what it is                                        when it is worth it
========= ================================================= ==========================================================
threads   populations on the threads of this process        nearly always: nothing has to start or to be sent
processes worker processes of this machine, through joblib  many small fits with callbacks or scores, which hold
                                                            Python's lock; fits that may run out of memory; estimators
ray       the workers of a Ray cluster                      several machines
========= ================================================= ==========================================================

Seconds for 10 folds x 3 seeds x 12 configurations (360 fits) of a small network on iris, two threads against two
processes (medians of five; two cores, of which other programs used about one):

=============================================== ======= =========
each fit                                        threads processes
=============================================== ======= =========
20 epochs                                       0.94    0.65
100 epochs                                      1.04    0.85
up to 100 epochs, early stopping                3.95    1.76
20 epochs, two of scikit-learn's scores         5.57    2.67
=============================================== ======= =========

To these come the 2 to 7 seconds in which two processes start and import everything, once for several calls; a cluster
of this machine takes about 10 to start and to end.

Members of one plan are dealt to workers in parts of about half a second, smaller ones at the end. Processes of one
machine share the memory of arrays (other containers, such as data frames of polars, are sent with every part); in a
cluster each machine gets the data once. Processes are started anew, not forked, on every system, and compile no kernel
that is in the cache on disk.

A worker that is killed loses its part, which is dealt again, member by member; a member with which a worker was lost
three times is a failure that says so, and the others go on. Ctrl-C ends the workers and keeps what was finished.

Models, functions, lambdas, closures and classes of the main module travel to the workers. Callbacks run there, on
copies: what they append to a list stays there. Whoever must hear of epochs in the user's own process sets
:attr:`Task.on_epoch <pellucid.select.task.Task>`.
"""

from __future__ import annotations

from pellucid.fields import Choice, Integer, optional, require
from pellucid.select.executors.base import Executor, Work
from pellucid.select.executors.cluster import Cluster
from pellucid.select.executors.processes import Processes
from pellucid.select.executors.threads import Threads

__all__ = ["EXECUTORS", "Executor", "Work", "get"]

#: The executors by name.
EXECUTORS: dict[str, type[Executor]] = {"threads": Threads, "processes": Processes, "ray": Cluster}


def get(executor: str = "threads", n_jobs: int | None = None) -> Executor:
    """The executor of a name.

    Args:
        executor: ``"threads"``, ``"processes"`` or ``"ray"``.
        n_jobs: Members that train at once (threads), worker processes, or parts that the cluster works on at once; by
            default as many as there are cores. Cores that remain are shared out as threads of the workers.

    Raises:
        ConfigurationError: There is no such executor, or ``n_jobs`` is neither -1 nor at least 1.

    >>> get("processes", 2)
    Processes(2)
    """
    require("executor", "executor", executor, Choice(*EXECUTORS))
    if n_jobs == -1:
        n_jobs = None
    require("executor", "n_jobs", n_jobs, optional(Integer(1)))
    return EXECUTORS[executor](n_jobs)
