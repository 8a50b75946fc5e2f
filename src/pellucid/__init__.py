"""Pellucid."""
from pellucid.tensor import Tensor, no_grad
from pellucid.autodiff import grad, hessian, hvp, jacobian, value_and_grad, vjp
