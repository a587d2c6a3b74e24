"""The workload that federated peers share with `benches/simulation`: sites, their pictures, and how each of them learns.

100 sites of 50 pictures, one epoch in batches of 10 in the order in which they lie, plain averaging, 10 rounds. The network, of
70,986 parameters, with He's initial weights and biases of 0:

  32x32, 3 channels -> convolution 3x3 to 16, padded -> ReLU -> maximum over 2x2
                    -> convolution 3x3 to 32, padded -> ReLU -> maximum over 2x2
                    -> 2048 in the order channel, row, column -> dense 32 -> ReLU -> dense 10 -> softmax and cross entropy

Pictures are drawn by the rule of `benches/simulation/pictures.rs` from a generator of numpy's: the same task, other pictures.
Accuracy is measured on 1,000 pictures of no site, before the first round and after each, within the time that is told.
Knows numpy, and no peer.
"""
import math

from .measure import THREADS, Parameter

PARAMETERS = {
    'clients': Parameter(int, 'how many sites, all of them in every round', default=100, low=2, high=10**5),
    'rounds': Parameter(int, 'how many rounds', default=10, low=1, high=10**4),
    'pictures': Parameter(int, 'of each site', default=50, low=1, high=10**5),
    'batch': Parameter(int, 'pictures in a step', default=10, low=1, high=10**4),
    'rate': Parameter(float, 'learning rate of a site', default=0.03, low=1e-9, high=10),
    'momentum': Parameter(float, "of a site's steps", default=0.9, low=0, high=0.9999),
    'seed': Parameter(int, 'of pictures and initial weights', default=1, low=0, high=2**31 - 1),
    'threads': THREADS,
}
SIDE, CHANNELS, CLASSES, HELD_OUT = 32, 3, 10, 1000
VALUES = 70_986
NETWORK = 'conv3x3(3,16) relu max2x2 conv3x3(16,32) relu max2x2 dense(2048,32) relu dense(32,10)'


def note(report):
    """What every line of this workload says besides its parameters."""
    report.note(network=NETWORK, parameters=VALUES, held_out=HELD_OUT, local_epochs=1)


def draw(count, random):
    """`count` pictures, channel by channel, class 0, 1, .. 9, 0, ..: stripes in one of five directions and one of two pairs of
    colours, at any phase, in noise. Returns pixels and classes."""
    import numpy
    classes = numpy.arange(count) % CLASSES

    def uniform(low, high, *shape):
        return random.uniform(low, high, (count, *shape)).astype(numpy.float32)
    angle = math.pi * (classes % 5 + uniform(-0.2, 0.2)) / 5
    wave, phase, contrast = 2 * math.pi / uniform(5, 8), uniform(0, 2 * math.pi), uniform(0.5, 1)
    y, x = numpy.mgrid[0:SIDE, 0:SIDE].astype(numpy.float32)
    along = x * numpy.cos(angle)[:, None, None] + y * numpy.sin(angle)[:, None, None]
    stripes = contrast[:, None, None] * numpy.sin(wave[:, None, None] * along + phase[:, None, None])
    colours = numpy.where((classes < 5)[:, None], (1, -1, 0), (0, 1, -1))
    pixels = colours[:, :, None, None] * stripes[:, None] + uniform(-0.4, 0.4, CHANNELS)[:, :, None, None]
    pixels += 0.4 * random.standard_normal(pixels.shape, numpy.float32)
    return pixels.astype(numpy.float32), classes.astype(numpy.int64)


def sites(params):
    """Pixels and classes of all sites, `[site, picture, ..]`, and those of the held-out pictures."""
    import numpy
    random = numpy.random.default_rng(params['seed'])
    own = [draw(params['pictures'], random) for _ in range(params['clients'])]
    return tuple(numpy.stack(part) for part in zip(*own)), draw(HELD_OUT, random)


def finish(report, params, wall, cpu, accuracy):
    """The lines that all peers end with."""
    report.add('wall', 's', wall)
    report.add('cpu', 's', cpu)
    report.add('wall_per_round', 's', wall / params['rounds'])
    report.add('cpu_per_round', 's', cpu / params['rounds'])
    report.add('accuracy', '1', accuracy)
