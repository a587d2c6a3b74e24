"""The workload's network in torch, and how a site learns with it. To be imported after the clocks run: it loads torch."""
import numpy
import torch
from torch import nn

from . import workload


def build(seed):
    """The network of `workload`, with He's initial weights."""
    network = nn.Sequential(
        nn.Conv2d(workload.CHANNELS, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * (workload.SIDE // 4) ** 2, 32), nn.ReLU(), nn.Linear(32, workload.CLASSES))
    values = sum(parameter.numel() for parameter in network.parameters())
    assert values == workload.VALUES, values
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, (2 / parameter[0].numel()) ** 0.5, generator=generator)
            else:
                parameter.zero_()
    return network


def tensors(pixels, classes):
    """Pictures as torch takes them; shares numpy's memory where it may be written to."""
    return torch.from_numpy(numpy.require(pixels, requirements='W')), torch.from_numpy(numpy.require(classes, requirements='W'))


def learn(network, pixels, classes, params):
    """One epoch on a site's pictures: the usual loop."""
    optimizer = torch.optim.SGD(network.parameters(), lr=params['rate'], momentum=params['momentum'])
    for some, of in zip(pixels.split(params['batch']), classes.split(params['batch'])):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(some), of).backward()
        optimizer.step()


@torch.no_grad()
def accuracy(network, pixels, classes):
    """The share of pictures that are taken for what they are."""
    return float((network(pixels).argmax(1) == classes).float().mean())
