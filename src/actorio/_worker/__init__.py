"""The actor's side: what runs in an actor's process and nowhere else."""
