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

# Units of 1/64 neper. Few-bit roots near silence are coarse: ln 2 alone is 44 units, from V = 1 to V = 2.
FLOAT_LOG_MEL_UNITS = 52        # largest over the real clips of the vectors; we measure 49.3
FLOAT_LOG_MEL_MEAN_UNITS = 5    # mean; we measure 1.7 (paper) and 4.0 (baseline)

# Sound: largest error of one excerpt stored in two formats, both brought to 16 kHz; full scale is 1.
SOUND_RESAMPLED = 2e-3      # soxr HQ here, VHQ when the files were made; they differ next to 8 kHz; we measure 1.6e-3
SOUND_HALF_RATE = 2e-4      # an 8 kHz file against the excerpt brought to 8 kHz and back; we measure 5e-5
SOUND_8_BIT = 2**-7         # one step; we measure one step
SOUND_MU_LAW = 2**-6 + 2**-15   # half a step of mu-law's last segment, and a 16-bit step; we measure 1.566e-2
SOUND_STEP_28_DB = 6e-3     # a 16-bit step rounded before a gain of 28 dB: 25 times half of 2^-15, and the edges; we measure 5.0e-3
SOUND_STEP = 2.5 / 2**15    # a 16-bit step rounded before and after a gain below 1; we measure 1.2 / 2^15
SOUND_VORBIS = 2e-4         # Ogg Vorbis against a clip cut from it, VHQ again; we measure 1.4e-4
SOUND_CHANNEL_MEAN = 1e-6   # float32 sums of up to 1000 channels against float64; we measure 2e-8
AP_ABS_ERROR = 1e-12        # float64 sums of at most 1000 steps in [0, 1], two orders of summation; we measure 2e-16
KERAS_ABS_ERROR = 1e-6      # Keras sums 199 float32 areas; we measure 1.2e-7
REMOVED_CHANNELS_REL_ERROR = 1e-12      # float64, relative to the largest logit: zeros leave sums, other orders of summation
FOLDED_REL_ERROR = 1e-4     # float32, relative to the largest logit: γ / sqrt(v + ε) inside the weights rounds otherwise
LOGIT_STEPS = 2             # steps of the int8 logits between fake quantisation in float and the integers: roundings of
                            # values next to a half differ, and the int16 sigmoid and tanh are tables
INT16_GRU_ABS_ERROR = 2e-3  # of a state in [-1, 1] after 17 steps; gx and gh have steps of 2e-4; we measure 5e-4

# One integer operator against real arithmetic on the same codes, in output codes.
OPERATOR_CODES = 0.5 + 2**-6    # half a code, and what double rounding adds: half of 2^shift, shift <= -5; we measure 0.5116
TABLE_CODES = 0.5 + 1e-4        # half a code, and float32; we measure 0.49998
SOFTMAX_S8_ERROR = 1 / 256      # of a probability against the softmax of the same logits: half a code, and 127 is the largest one
LOGISTIC_S16_CODES = 2          # of 2^-15: linear interpolation every 1/24 at most 0.7, the table 1/2, rounding 1/2; we measure 1.34
TANH_S16_CODES = 4              # twice the same; we measure 2.44
GRU_S16_ERROR = 1e-3            # of a state in [-1, 1] after 17 steps; gx and gh have steps of 2e-4; we measure 1.2e-4
GRU_S8_ERROR = 0.1              # the same with steps of 2^-4 in the gates and 2^-7 in the state; we measure 0.04

# The C back end in float32 against the NumPy layers in float64; relative to the largest number of each array, or to 1e-2.
C_LAYER_REL_ERROR = 1e-5        # sums of up to 816 products, one after another in the plain form; we measure 3.7e-6 (gru)
C_NETWORK_REL_ERROR = 1e-4      # 20 layers, where no activation is near a kink of ReLU6; we measure 1.9e-5
C_ADAM_REL_ERROR = 1e-6         # five steps; we measure 1.7e-7
INT16_CODES = 1.5               # of a state: float32 next to a half may move a code by one; we measure 0
C_GRU_GRADIENT_REL_ERROR = 1e-4     # against NumPy in float32, too, where two large terms nearly cancel; we measure 1.3e-5
C_QUANTISED_REL_ERROR = 0.05    # of a gradient's length, against NumPy in float32: a code next to a half, of 10^6, falls the
                                # other way, and what follows from it; we measure 0.012 (student), 8e-7 where none does

OPTIMISED_CODES = 7             # codes of an int8 probability between TensorFlow Lite's optimised kernels, which round otherwise
                                # and feed 17 recurrent steps with it, and its reference kernels; we measure 1
CLOPPER_ABS_ERROR = 1e-12       # of a share: quantiles of the beta distribution in float64, two routines; we measure 4e-15
PLATT_ABS_ERROR = 1e-8          # of a slope and an intercept near 1: two minimisers of one loss in float64; we measure 3e-11

# The optimised kernels of the runtimes, and XNNPACK, against the reference ones, in output codes: an operator on its own
# inputs rounds once where the reference rounds twice, at most 1 code; over 17 recurrent steps of small random networks it
# adds up. We measure for a state 7 of 128 and 2 of 32768 (optimised), 20 of 128 and 1232 of 32768 (XNNPACK, where the
# codes before the GRU differ too, by up to 29), for a probability 1 and 3 of 256; other processors, other kernels.
OTHER_KERNELS_CODES = {("optimised", 8): {"operator": 1, "state": 12, "probability": 3},
                       ("optimised", 16): {"operator": 1, "state": 32, "probability": 3},
                       ("xnnpack", 8): {"operator": 1, "state": 32, "probability": 7},
                       ("xnnpack", 16): {"operator": 1, "state": 2048, "probability": 7}}
MICRO_TABLE_CODES = 1           # TFLite Micro's LOGISTIC and TANH on int8, whose exponential is another: 1 code of 256, in one
MICRO_TABLE_SHARE = 0.01        # table of 700 for input scales up to 1 (beyond 2 it departs, and is not compared)
