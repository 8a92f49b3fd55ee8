"""Parts of any long-running program: threads, queues, files, logs and readings of the machine."""
