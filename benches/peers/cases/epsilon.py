"""dp-accounting: the epsilon of rounds of a Gaussian mechanism, by its accountants, and how long each takes to tell.

The same question as `volet privacy account`. dp-accounting has no accountant for zCDP, which Volet's ledger counts with; `gdp`
is its exact curve of one Gaussian with the noise of all steps, for rounds that are not sampled.
"""
import math

from .measure import THREADS, Parameter, WrongParameter, span

PARAMETERS = {
    'mechanism': Parameter(('gaussian', 'poisson-gaussian'), 'gaussian or poisson-gaussian', default='gaussian'),
    'sigma': Parameter(float, 'noise multiplier: standard deviation over sensitivity', low=1e-3, high=1e6),
    'steps': Parameter(int, 'how many rounds', low=1, high=10**7),
    'rate': Parameter(float, 'probability with which a site is sampled, for poisson-gaussian', low=1e-9, high=1, required=False),
    'delta': Parameter(float, 'the probability with which epsilon may not hold', low=1e-15, high=0.5),
    'accountant': Parameter(('all', 'rdp', 'pld', 'gdp'), 'rdp, pld, gdp or all that apply', default='all'),
    'interval': Parameter(float, "pld's grid", default=1e-4, low=1e-6, high=1e-1),
    'threads': THREADS,
}


def run(_, params, report):
    sampled, rate = params['mechanism'] == 'poisson-gaussian', params['rate']
    if sampled and rate is None:
        raise WrongParameter('--param mechanism=poisson-gaussian needs --param rate')
    if not sampled and rate is not None:
        raise WrongParameter('--param rate is for --param mechanism=poisson-gaussian; without sampling leave it out')
    if sampled and params['accountant'] == 'gdp':
        raise WrongParameter('--param accountant=gdp does not know sampling')

    with report.loading():
        import dp_accounting
        from dp_accounting import gaussian_mechanism, pld, rdp

    sigma, steps, delta = params['sigma'], params['steps'], params['delta']
    event = dp_accounting.GaussianDpEvent(sigma)
    event = dp_accounting.PoissonSampledDpEvent(rate, event) if sampled else event

    def by(accountant):
        return accountant.compose(event, steps).get_epsilon(delta)

    accountants = {
        'rdp': lambda: by(rdp.RdpAccountant()),
        'pld': lambda: by(pld.PLDAccountant(value_discretization_interval=params['interval'])),
        'gdp': lambda: gaussian_mechanism.get_epsilon_gaussian(sigma / math.sqrt(steps), delta),
    }
    if sampled:
        del accountants['gdp']
    if params['accountant'] != 'all':
        accountants = {params['accountant']: accountants[params['accountant']]}
    for name, epsilon in accountants.items():
        with span() as taken:
            value = epsilon()
        report.add('epsilon', '1', value, accountant=name)
        report.add('wall', 's', taken.wall, accountant=name)
        report.add('cpu', 's', taken.cpu, accountant=name)
