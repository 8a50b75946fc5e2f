"""Plans: from a graph to instructions on memory, before any machine code is chosen."""
