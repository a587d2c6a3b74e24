"""pfl-research: the shared workload by its simulated backend and its federated averaging, in one process, as its tutorials do.

Every site is asked in every round and weighs the same. Its evaluation of each site before and after learning, which is only
there to be looked at, is switched off; accuracy on the held-out pictures is measured by a callback.
"""
import dataclasses

from . import workload
from .measure import Memory, span

PARAMETERS = workload.PARAMETERS


def run(_, params, report):
    workload.note(report)
    with report.loading():
        import numpy
        import torch
        torch.set_num_threads(params['threads'])
        from pfl.aggregate.simulate import SimulatedBackend
        from pfl.aggregate.weighting import WeightByUser
        from pfl.algorithm.base import NNAlgorithmParams
        from pfl.algorithm.federated_averaging import FederatedAveraging
        from pfl.callback.base import TrainingProcessCallback
        from pfl.data.federated_dataset import FederatedDataset
        from pfl.data.pytorch import PyTorchTensorDataset
        from pfl.data.sampling import get_user_sampler
        from pfl.hyperparam import NNTrainHyperParams
        from pfl.metrics import Metrics
        from pfl.model.pytorch import PyTorchModel
        from . import network

        class Averaging(FederatedAveraging):
            def get_next_central_contexts(self, *args, **kwargs):
                contexts, model, metrics = super().get_next_central_contexts(*args, **kwargs)
                if contexts is not None:
                    contexts = tuple(dataclasses.replace(context, do_evaluation=False) for context in contexts)
                return contexts, model, metrics

        class Accuracy(TrainingProcessCallback):
            def __init__(self, held_out):
                self.held_out, self.measured = held_out, []

            def on_train_begin(self, *, model):
                self.measured.append(network.accuracy(model.pytorch_model, *self.held_out))
                return Metrics()

            def after_central_iteration(self, aggregate_metrics, model, *, central_iteration):
                return False, self.on_train_begin(model=model)

        def loss(pixels, classes):
            net.train()
            return torch.nn.functional.cross_entropy(net(pixels), classes)

        numpy.random.seed(params['seed'])
        net = network.build(params['seed'])
        net.loss, net.metrics = loss, lambda *_: {}
        momentum = lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=params['momentum'])
        model = PyTorchModel(net, momentum, torch.optim.SGD(net.parameters(), lr=1.0))
    (pixels, classes), held_out = workload.sites(params)
    own, accuracy = network.tensors(pixels, classes), Accuracy(network.tensors(*held_out))
    with report.loading():
        sampler = get_user_sampler('minimize_reuse', list(range(params['clients'])))
        fleet = FederatedDataset(lambda user: PyTorchTensorDataset((own[0][user], own[1][user]), user_id=str(user)), sampler)
        backend = SimulatedBackend(training_data=fleet, val_data=fleet, postprocessors=[WeightByUser()])
        algorithm = NNAlgorithmParams(central_num_iterations=params['rounds'], evaluation_frequency=params['rounds'],
                                      train_cohort_size=params['clients'], val_cohort_size=0)
        local = NNTrainHyperParams(local_num_epochs=1, local_learning_rate=params['rate'], local_batch_size=params['batch'])
    memory = Memory()
    with span() as taken:
        Averaging().run(algorithm, backend, model, local, callbacks=[accuracy])
    report.note(evaluations=len(accuracy.measured))
    workload.finish(report, params, taken.wall, taken.cpu, accuracy.measured[-1])
    report.add('memory_growth', 'B', memory.growth())
    report.add('peak_memory', 'B', memory.peak())
