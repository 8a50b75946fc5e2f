"""Training without gradients, from well-kept libraries: what gradient descent is to be compared with.

``compare_optimizers`` runs them on the weights of one network; each is a class of its own.
"""
