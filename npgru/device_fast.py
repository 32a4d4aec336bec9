FORMS = ("DSP", "PLAIN")


def fast_arrays(network, form):
    names = [network.conv.name, *(layer.name for block in network.blocks for layer in block), "gru"]
    return dict.fromkeys(names)
