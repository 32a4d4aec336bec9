"""Every tolerance of the tests, each with its unit and its reason. Integers have none: they are equal."""

GRADIENT_REL_ERROR = 1e-7   # float64 central difference against the hand-written gradient, relative to the largest
