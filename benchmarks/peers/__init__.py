"""One module per framework: each turns a piece of work into functions that do it, with one entry per candidate."""
