"""Models of one operator, to be run by a witness."""
from npgru.tflite_writer import Graph, write_tflite


def single(code, version, inputs, constants, output, **options):
    """A model of one operator -> bytes.

    inputs     [(shape, dtype, Quantisation)] fed at run time
    constants  [array, or (array, scale, axis), or None: left out], after the inputs
    output     (shape, dtype, Quantisation)
    """
    graph = Graph()
    fed = tuple(graph.tensor(shape, dtype, q.scale, q.zero_point) for shape, dtype, q in inputs)
    fixed = []
    for constant in constants:
        if constant is not None:
            array, scale, axis = constant if isinstance(constant, tuple) else (constant, None, 0)
            fixed.append(graph.constant(array, scale, axis=axis))
    shape, dtype, q = output
    y = graph.tensor(shape, dtype, q.scale, q.zero_point)
    graph.operator(code, version, [*fed, *fixed], [y], **options)
    graph.inputs, graph.outputs = fed, (y,)
    return write_tflite([graph])
