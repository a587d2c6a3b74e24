"""What Flower runs on a site: its own module, so that workers load it by name. Loads flwr and torch."""
import functools
import json
import os

import numpy
import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from . import network

app = ClientApp()


@functools.cache
def _of_worker(folder, threads, seed):
    """What a worker loads once: the pictures of all sites, which stay on the disk until they are read, and a network."""
    torch.set_num_threads(threads)
    pixels, classes = (numpy.load(os.path.join(folder, name), mmap_mode='r') for name in ('pixels.npy', 'classes.npy'))
    return pixels, classes, network.build(seed)


def _load(message):
    config = message.content['config']
    return *_of_worker(config['folder'], config['threads'], config['seed']), json.loads(config['params'])


@app.query()
def prepare(message: Message, _: Context) -> Message:
    """Loads everything, before any clock runs."""
    _load(message)
    return Message(content=RecordDict({'config': message.content['config']}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """One epoch on the site's pictures."""
    pixels, classes, model, params = _load(message)
    site = context.node_config['partition-id']
    model.load_state_dict(message.content['arrays'].to_torch_state_dict())
    own = network.tensors(numpy.array(pixels[site]), numpy.array(classes[site]))
    network.learn(model, *own, params)
    metrics = MetricRecord({'num-examples': len(own[0])})
    return Message(content=RecordDict({'arrays': ArrayRecord(model.state_dict()), 'metrics': metrics}), reply_to=message)
