"""numpy and torch: the weighted mean of many updates of float32 values, which is what a server without masks does.

All updates lie in one block of memory, as in `cargo bench -p volet-federated --bench sums`. `matmul` is the fastest way that
either library offers, a product of weights and updates; `loop` adds one update after the other, as Flower's FedAvg does.
"""
from .measure import THREADS, Failure, Memory, Parameter, span

PARAMETERS = {
    'clients': Parameter(int, 'how many updates', default=1000, low=1, high=10**6),
    'parameters': Parameter(int, 'values in each', default=1_000_000, low=1, high=10**9),
    'repeats': Parameter(int, 'how many means, after one that is not counted', default=5, low=1, high=10**4),
    'method': Parameter(('matmul', 'loop'), 'matmul or loop', default='matmul'),
    'threads': THREADS,
}


def room(needed):
    with open('/proc/meminfo', encoding='ascii') as lines:
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable:'))
    if needed > 0.8 * free:
        raise Failure(f'the updates need {needed / 1e9:.1f} GB and {free / 1e9:.1f} GB are free; ask for fewer')


def numpy_means(updates, weights):
    import numpy

    def loop():
        total = numpy.zeros(updates.shape[1], numpy.float32)
        for weight, update in zip(weights, updates):
            total += weight * update
        return total
    return {'matmul': lambda: weights @ updates, 'loop': loop}


def torch_means(updates, weights):
    import torch

    def loop():
        total = torch.zeros(updates.shape[1])
        for weight, update in zip(weights.tolist(), updates):
            total.add_(update, alpha=weight)
        return total
    return {'matmul': lambda: torch.mv(updates.T, weights), 'loop': loop}


def run(peer, params, report):
    clients, parameters, repeats = params['clients'], params['parameters'], params['repeats']
    size = clients * parameters * 4
    room(size)
    with report.loading():
        if peer == 'torch':
            import torch
            torch.set_num_threads(params['threads'])
        import numpy
    updates = numpy.empty((clients, parameters), numpy.float32)
    for client, update in enumerate(updates):
        update[:] = (numpy.arange(parameters, dtype=numpy.int32) + client) % 1000
    weights = numpy.full(clients, 1 / clients, numpy.float32)
    if peer == 'torch':
        means = torch_means(torch.from_numpy(updates), torch.from_numpy(weights))
    else:
        means = numpy_means(updates, weights)
    mean = means[params['method']]
    value = numpy.asarray(mean())
    exact = updates[:, :100].mean(axis=0, dtype=numpy.float64)
    if numpy.abs(value[:100] - exact).max() > 1e-3 * max(1.0, exact.max()):
        raise Failure('the mean is wrong')
    memory = Memory()
    with span() as taken:
        for _ in range(repeats):
            mean()
    report.add('wall_per_aggregation', 's', taken.wall / repeats)
    report.add('cpu_per_aggregation', 's', taken.cpu / repeats)
    report.add('throughput', 'GB/s', size / 1e9 / (taken.wall / repeats))
    report.add('throughput_per_cpu_second', 'GB/s', size / 1e9 / (taken.cpu / repeats))
    report.add('memory_growth', 'B', memory.growth())
    report.add('peak_memory', 'B', memory.peak())
