"""Every tolerance of the tests, each with its unit and its reason. Integers have none: they are equal."""

GRADIENT_REL_ERROR = 1e-7   # float64 central difference against the hand-written gradient, relative to the largest

# The layers. "Relative" is to the largest number of the array compared (for GRADIENT_REL_ERROR: of that argument's
# gradient), or to 1e-2 if that is larger; gradcheck.py and goldencheck.py state it. Measured for GRADIENT_REL_ERROR:
# 1.6e-9 (batchnorm_infer; conv2d 1.2e-9, gru 5e-10, max pooling 3e-11), the rounding of (2) in gradcheck.py.
DEFINITION_REL_ERROR = 1e-12        # float64, relative: the same sum in another order, to 100 terms; we measure 3.3e-16
GOLDEN_FLOAT32_REL_ERROR = 1e-5     # relative: a layer in float32, theirs in float64; we measure 4.6e-7 (gru)
GOLDEN_FLOAT64_REL_ERROR = 1e-7     # relative: both in float64, but stored as float32, 2^-24 = 6e-8; we measure 5.3e-8
MODEL_FLOAT32_REL_ERROR = 1e-5      # relative: 20 layers in float32; we measure 3.4e-6 (conv_bn's dbeta)
MODEL_FLOAT64_REL_ERROR = 1e-7      # relative: as GOLDEN_FLOAT64_REL_ERROR; we measure 5.3e-8
STATE_KEPT_EPS = 4                  # eps of the dtype: at z = 1, n + 1 (h − n) rounds twice a step; we measure 0.6
STANDARD_ERRORS = 5                 # of a counted share: a right generator fails once in a million

SNR_DB = 1e-3               # dB: float32 features of 2688 values; we measure 2e-5
NETWORK_GRADIENT_REL_ERROR = 1e-6   # as GRADIENT_REL_ERROR, through 20 layers: curvature times step² adds up; we measure 2e-8
