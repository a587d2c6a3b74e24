"""torch without a framework: the shared workload as a bare loop. What Flower and pfl take beyond this is their own."""
from . import workload
from .measure import Memory, span

PARAMETERS = workload.PARAMETERS


def run(_, params, report):
    workload.note(report)
    with report.loading():
        import torch
        torch.set_num_threads(params['threads'])
        from . import network
        model = network.build(params['seed'])
    (pixels, classes), held_out = workload.sites(params)
    own, held_out = network.tensors(pixels, classes), network.tensors(*held_out)
    memory, values = Memory(), list(model.parameters())

    @torch.no_grad()
    def become(others):
        # Copied, not shared: else learning would change what the next site starts from.
        for value, other in zip(values, others):
            value.copy_(other)

    with span() as taken:
        accuracy = network.accuracy(model, *held_out)
        for _ in range(params['rounds']):
            start = [value.detach().clone() for value in values]
            total = [torch.zeros_like(value) for value in start]
            for pictures, of in zip(*own):
                become(start)
                network.learn(model, pictures, of, params)
                for sum, value in zip(total, values):
                    sum += value.detach()
            become([sum / params['clients'] for sum in total])
            accuracy = network.accuracy(model, *held_out)
    workload.finish(report, params, taken.wall, taken.cpu, accuracy)
    report.add('memory_growth', 'B', memory.growth())
    report.add('peak_memory', 'B', memory.peak())
