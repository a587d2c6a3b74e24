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
    memory = Memory()
    with span() as taken:
        accuracy = network.accuracy(model, *held_out)
        for _ in range(params['rounds']):
            start = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
            total = torch.zeros_like(start)
            for pictures, of in zip(*own):
                torch.nn.utils.vector_to_parameters(start, model.parameters())
                network.learn(model, pictures, of, params)
                total += torch.nn.utils.parameters_to_vector(model.parameters()).detach()
            torch.nn.utils.vector_to_parameters(total / params['clients'], model.parameters())
            accuracy = network.accuracy(model, *held_out)
    workload.finish(report, params, taken.wall, taken.cpu, accuracy)
    report.add('memory_growth', 'B', memory.growth())
    report.add('peak_memory', 'B', memory.peak())
