"""npgru: the MobileGRU bird-call detector, from samples to a trained network, in NumPy that can be read.

The map; a module imports only modules above it:

  The C kernels, and samples to features
    kernels_build   cffi builder: reads the declarations out of the headers in csrc/
    front_end       FrontEnd, the one frozen configuration of the features, and the integer tables it gives
    kernels         the compiled kernels under the names of their NumPy twins; checks arrays, turns status into errors
    features        samples -> log-mel (T, M): the fixed-point one in integers, the float one for teaching
    mp3             how long an MP3 really is
    audio           sound file -> samples at a known rate, in blocks; resampling; refusals
    pcm             raw samples from a pipe -> samples at a known rate, in blocks

  Clips to learn from
    voices          synthetic birds and noises, one clip each
    synth           a seeded synthetic corpus as sound files: what `npgru train` learns from when it gets no folder
    feature_rows    features of many clips: an array while they are few, else a file that is read where asked for
    augment         log-mel -> log-mel: noise, overlay, the contrast gate
    tables          a CSV file with a header -> its rows, with their line numbers
    clips           a folder or a CSV manifest -> clips: class, split, recording, distance
    annotations     a table of annotated calls -> the events of each recording
    corpus          clips -> which class is the target, who is in which split
    feature_cache   a clip's features on disk, keyed by content and configuration
    dataset         clips -> features, bad files reported and skipped; seeded batches

  The network in floating point, and its training
    layers          conv2d depthwise2d ... gru dense, and their quantised forms: forward and backward together
    model           the network as a list of layers: init, forward, backward over the reversed list
    loss            (logits, targets) -> (loss, dlogits)
    gradcheck       a forward and backward pair against central differences
    optimiser       Adam on {name: array}
    layer_structs   a layer list -> the structs of csrc/train/: what C does in one go
    kernels_train   the compiled network: forward, backward and Adam of a layer list, memory and threads
    backend         who runs a layer list: NumPy or C, under the same names
    metrics         average precision, best F1, intervals by recording
    config          frozen dataclasses <-> TOML
    checkpoint      one file, no pickle: weights, optimiser state, layer list, FrontEnd
    feature_files   sound files -> arrays of features on disk

  The network in integers
    fixed_point     integers times real numbers: the quantised multiplier and its roundings
    int8_params     scales -> the numbers of an integer operator: multipliers, zero points, clamps
    int8_reference  THE SPECIFICATION: every integer operator in NumPy, its formula and its rounding
    int8_nonlinear  the specification of LOGISTIC, TANH and SOFTMAX
    int8_gru        the specification of a GRU step, composed of those operators
    kernels_int8    the compiled integer operators under the names of their NumPy twins
    kernels_int8_host    a whole integer network in one call of C, many clips at a time
    int8            a network on the integers' grids -> codes, multipliers, shifts; its forward pass in integers

  The .tflite file
    tflite_writer   tensors and operators -> the bytes of a .tflite file
    tflite_reader   the bytes of a .tflite file -> tensors and operators; nothing in it is trusted
    tflite_gru      the GRU as TensorFlow Lite operators: one step, a loop of it, or copies of it
    export_tflite   IntegerModel -> the bytes of a .tflite file
    import_tflite   a .tflite file of ours -> the IntegerModel that wrote it, and its metadata
    witnesses       other people's runtimes that execute a .tflite file, where they are installed

  The recipe
    evaluate        a trained model on clips -> scores
    train           the loop, once: epochs, validation, the epoch to keep
    compress        layer list -> layer list: pruning, folding of batch-norm, fake quantisation
    stages          the paper's stages: the configuration of each, and what it brings to the loop
    recipe          a run: the stages one after the other in one folder; resumes where it stopped
    detector        a run folder, a checkpoint or a .tflite file -> what scores clips

  In the field
    recorded_at     when a recording began, in UTC: names and metadata of AudioMoth and Wildlife Acoustics
    detections      detections as tables: Raven, Audacity, Kaleidoscope, CSV, parquet; and back
    detect          a recording of any length -> a score for each window -> detections, in blocks
    journal         what is finished of an archive: a line a recording
    workers         one function of many things: here, in processes, on a dask cluster; each result once
    archive         many recordings -> tables in one folder; resumed after a crash, the same bytes
    soundscapes     a detector on recordings with annotated calls: windows, events, false alarms an hour
    segments        detections -> the ones to listen to, each cut out of its recording
    review          detections -> one HTML page to accept or reject them, which saves the decisions
    calibration     decisions -> the threshold for a wanted precision, its interval, and probabilities

  On a device
    device_layout   IntegerModel -> the layers of csrc/device: sizes of its buffers, output stages
    device_fast     which of them run in a fast form, each proved; their weights in its order
    device_rows     the same for two rows in a word: cores without DSP instructions
    device_helium   the same for the vectors of a Cortex-M55: bytes, 16 at a time
    device_source   those layers -> the text of npgru_model.h and npgru_model.c
    costs           what a network costs: parameters, multiply-adds, zeros, bytes
    device_costs    what a network costs on a Cortex-M, without one: instructions by layer, cycles, memory, energy
    emulator        C programs on an emulated Cortex-M: compile, run in QEMU, count instructions, measure sections
    export_c        IntegerModel -> a folder of C99 that stands alone, and its figures from the emulator

  What can be shown
    machine         the machine that a figure was measured on: its name, its peak, a process's memory
    figures         arrays and words -> matplotlib figures, the same bytes every time
    bench_train     the speed of training: samples a second of the real loop
    bench_layers    where the time of a training step goes, layer by layer
    bench_int8      the speed of the integer network: microseconds a clip, beside other runtimes
    bench_scale     cost against work: time a clip and memory for more and more clips
    tally           how many comparisons a claim stood, the worst difference that was met, and where
    audit_operators    random and extreme cases of every integer operator, against C and the runtimes
    audit_network   a whole network in a runtime: every tensor, every form, against int8.run
    audit_layers    gradients against central differences; the training kernels in C against NumPy in float64
    audit           claims, each with its witness -> the rows of a table
    evidence        a run and its clips -> every stage scored, the hardest clips, the curves
    report          evidence and figures -> report.html

  The command line
    commands        one module a command: its arguments, and the call of what does the work; no maths
    cli             the command line: all commands, their errors and exit codes

Notation, the same everywhere: B batch, T frames, M mel bands, C channels, D input features, H hidden units,
K classes, N output features. dx is ∂L/∂x and has x's shape. Units end a name: _hz _s _ms _db _bytes.
Integers: real = scale × (q − zero_point).
"""
from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {"FrontEnd": "front_end", "log_mel": "features", "float_log_mel": "features", "NetworkConfig": "model",
           "load_model": "checkpoint", "target_scores": "evaluate", "average_precision": "metrics"}
__all__ = ["__version__", *_PUBLIC]


def __getattr__(name):
    """Public names are imported when they are first used: `npgru --help` needs none of them."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'npgru' has no attribute {name!r}")
    return getattr(import_module(f"npgru.{_PUBLIC[name]}"), name)
