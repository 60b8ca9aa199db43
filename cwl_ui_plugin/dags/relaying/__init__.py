"""What workers without common folders do so that the API server knows of their tasks, and they of its stops.

On each machine there is an *agent*: the janitor of a machine that shares folders, and a relay. What code on a machine
reads and writes stays files of that machine; the relay carries them to the API server, whose files are the truth, and
back. Each task's supervisor gives the agent the execution token of its task, by a socket that only this user reaches;
the agent keeps it in memory, and outlives the task, its supervisor and the worker until nothing of them is left.

::

    supervisor --register(token)--> agent <--hold, settle, document-- task process
                                      | HTTP, with the token of the task that it is about
                                      v
                                  API server (``api.workers``)
"""
