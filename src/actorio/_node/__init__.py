"""The node: the control plane of a session, one process, and the zygote that it forks actors from."""
