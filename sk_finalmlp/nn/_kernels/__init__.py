"""The arithmetic of a training step on the CPU, in few passes over memory that is kept from step to step.

Each module holds one function with its derivative, equal to a few plain lines of torch that the module of the network
beside it shows.
"""

from ._activation import activation, normalised_activation
from ._embedding import look_up
from ._fusion import bilinear_fusion
from ._linear import linear

__all__ = ["activation", "bilinear_fusion", "linear", "look_up", "normalised_activation"]
