"""Who runs a layer list: the NumPy layers, or their compiled twin. The training loop asks for a network and need not know."""
from dataclasses import dataclass

from . import kernels, model, optimiser


class NumpyNetwork:
    """The NumPy layers under the names of kernels_train.Network; their docstrings are at model and optimiser."""
    adam_step = staticmethod(optimiser.adam_step)
    backward = staticmethod(model.backward)

    def __init__(self, layers: list):
        self.layers = layers

    def own(self, arrays: dict) -> dict:
        """Weights or moments as this back end wants them: NumPy takes any."""
        return arrays

    def forward(self, params, stats, x, rng=None):
        return model.forward(self.layers, params, stats, x, rng)

    def predict(self, params, stats, x):
        return model.predict(self.layers, params, stats, x)


@dataclass(frozen=True)
class Backend:
    """name: "c", "numpy", or None for the best there is. threads: of C; they never change a result."""
    name: str | None = None
    threads: int = 1

    def network(self, layers: list, clip_shape: tuple[int, int], batch_size: int):
        """Forward, backward, adam_step and predict of a layer list, for batches of up to batch_size clips (T, M).

        A list with layers that C does not know runs in NumPy.
        """
        if kernels.choose_backend(self.name) == "numpy":
            return NumpyNetwork(layers)
        from . import kernels_train, layer_structs
        try:
            layer_structs.c_layers(layers, *clip_shape)
        except ValueError:
            return NumpyNetwork(layers)
        return kernels_train.Network(layers, clip_shape, batch_size, self.threads)
