"""Flower: the shared workload by its simulation engine, which runs sites in processes of Ray: the only backend that it has.

As many workers of one thread each as there are threads asked for. All has been started, and every worker has loaded its libraries
and found its pictures, before the clock starts; until then it may use all processors, since Ray gives up when its start takes
long. What Flower and Ray would send home about their use is switched off.
"""
import json
import os
import tempfile
import time

from . import workload
from .measure import ALLOWED, Failure, Span

PARAMETERS = workload.PARAMETERS
HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ATTEMPTS = 4


class Watch:
    """Clocks over the whole family of processes, which stand still while memory is looked at."""

    def __init__(self, processes):
        self.processes, self.memory, self.count, self.looking = processes, 0, 0, Span()
        self.start()

    def start(self):
        self.began = time.perf_counter(), self.processes.cpu()

    def look(self):
        wall, cpu = time.perf_counter(), time.thread_time()
        memory, count = self.processes.memory()
        self.memory, self.count = max(self.memory, memory), max(self.count, count)
        self.looking.wall += time.perf_counter() - wall
        self.looking.cpu += time.thread_time() - cpu

    def stop(self):
        return (time.perf_counter() - self.began[0] - self.looking.wall, self.processes.cpu() - self.began[1] - self.looking.cpu)


def serve(grid, params, folder, initial, evaluate):
    """Flower's side of the server: prepares the workers, starts the clock, and runs the rounds."""
    from flwr.app import ConfigRecord, Message, MessageType, RecordDict
    from flwr.serverapp.strategy import FedAvg
    from . import processes
    config = ConfigRecord({'folder': folder, 'threads': 1, 'seed': params['seed'], 'params': json.dumps(params)})
    while len(nodes := list(grid.get_node_ids())) < params['clients']:
        time.sleep(0.05)
    ready = list(grid.send_and_receive([
        Message(content=RecordDict({'config': config}), message_type=MessageType.QUERY, dst_node_id=node) for node in nodes]))
    if any(reply.has_error() for reply in ready):
        raise Failure(f'a site could not start: {next(reply.error for reply in ready if reply.has_error())}')
    watch = Watch(processes)

    def after_round(round, arrays):
        metrics = evaluate(arrays)
        watch.look()
        return metrics
    processes.pin(ALLOWED[:params['threads']])
    strategy = FedAvg(fraction_train=1.0, fraction_evaluate=0.0, min_train_nodes=params['clients'], min_available_nodes=params['clients'])
    watch.start()
    result = strategy.start(grid=grid, initial_arrays=initial, num_rounds=params['rounds'], train_config=config, evaluate_fn=after_round)
    return watch.stop(), watch, result


def start_ray(threads):
    """Ray, as Flower would start it: its fixed half minute is not always enough on a busy machine."""
    import ray
    for attempt in range(ATTEMPTS):
        try:
            ray.init(num_cpus=threads, num_gpus=0, include_dashboard=False, logging_level='WARNING', log_to_driver=True)
            return
        except Exception as error:  # Ray raises no other
            ray.shutdown()
            why = error
            print(f'Ray did not start ({error}); attempt {attempt + 1} of {ATTEMPTS}', flush=True)
    raise Failure(f'Ray did not start in {ATTEMPTS} attempts; try on a machine that is less busy: {why}')


def size(arrays):
    """Bytes of a model as Flower puts it into a message."""
    return sum(len(array.data) for array in arrays.values())


def run(_, params, report):
    workload.note(report)
    os.sched_setaffinity(0, ALLOWED)
    os.environ.update(FLWR_TELEMETRY_ENABLED='0', RAY_USAGE_STATS_ENABLED='0', RAY_enable_metrics_collection='0',
                      RAY_agent_register_timeout_ms='600000', RAY_worker_register_timeout_seconds='600', RAY_worker_niceness='0',
                      PYTHONPATH=os.pathsep.join(word for word in (HERE, os.environ.get('PYTHONPATH')) if word))
    from . import processes
    began = time.perf_counter(), processes.cpu()
    import numpy
    import torch
    torch.set_num_threads(1)
    from flwr.app import ArrayRecord, MetricRecord
    from flwr.serverapp import ServerApp
    from flwr.simulation import run_simulation
    from . import flower_app, network
    load = time.perf_counter() - began[0], processes.cpu() - began[1]

    (pixels, classes), held_out = workload.sites(params)
    held_out, model, done = network.tensors(*held_out), network.build(params['seed']), []
    initial = ArrayRecord(model.state_dict())

    def evaluate(arrays):
        model.load_state_dict(arrays.to_torch_state_dict())
        return MetricRecord({'accuracy': network.accuracy(model, *held_out)})

    with tempfile.TemporaryDirectory(prefix='volet-peer-') as folder:
        numpy.save(os.path.join(folder, 'pixels.npy'), pixels)
        numpy.save(os.path.join(folder, 'classes.npy'), classes)
        server, began = ServerApp(), (time.perf_counter(), processes.cpu())

        @server.main()
        def main(grid, _):
            done.append(serve(grid, params, folder, initial, evaluate))
        backend = {'client_resources': {'num_cpus': 1, 'num_gpus': 0.0}}
        start_ray(params['threads'])
        try:
            run_simulation(server_app=server, client_app=flower_app.app, num_supernodes=params['clients'], backend_config=backend)
        finally:
            import ray
            ray.shutdown()
    if not done:
        raise Failure("Flower's server ended before its last round; what it says is above")
    (wall, cpu), watch, result = done[0]
    if len(result.train_metrics_clientapp) != params['rounds'] or result.arrays is None:
        raise Failure(f'{len(result.train_metrics_clientapp)} of {params["rounds"]} rounds came to their end')
    started = watch.began[0] - began[0], watch.began[1] - began[1]
    report.load_more(load[0] + started[0], load[1] + started[1])
    report.note(processes=watch.count, memory='all processes between rounds, what they share counted once')
    workload.finish(report, params, wall, cpu, result.evaluate_metrics_serverapp[params['rounds']]['accuracy'])
    report.add('peak_memory', 'B', watch.memory)
    report.add('upload_per_client', 'B', size(result.arrays))
    report.add('download_per_client', 'B', size(initial))
