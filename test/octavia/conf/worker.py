"""octavia-worker with two corrections that Octavia 11.0.1 brought, both for a load balancer that is created in one
call: the flow's keyword arguments, among them the listeners, reach the flow (commit cfd87ccba), and in the topology
SINGLE the flow knows the amphora's networks (4e9203adb)."""
import sys

from oslo_config import cfg

from octavia.common import config  # noqa: F401  defines the options

# Where the queue was faster than the database the worker looks again, after a second in which nothing happens. The
# options are read when the worker's modules are loaded, which is before any file is.
cfg.CONF.set_default("api_db_commit_retry_initial_delay", 0, group="haproxy_amphora")
cfg.CONF.set_default("api_db_commit_retry_backoff", 0, group="haproxy_amphora")
cfg.CONF.set_default("api_db_commit_retry_attempts", 1000, group="haproxy_amphora")

from octavia.cmd import octavia_worker  # noqa: E402
from octavia.common import constants  # noqa: E402
from octavia.controller.worker.v2 import controller_worker  # noqa: E402
from octavia.controller.worker.v2.flows import load_balancer_flows  # noqa: E402
from octavia.controller.worker.v2.tasks import network_tasks  # noqa: E402


def with_arguments(worker, make_flow, *args, store=None, **kwargs):
    flow = make_flow(*args, **kwargs)
    worker.tf_engine.taskflow_load(flow, store=store).run()


def with_networks(self):
    flows = listeners_flow(self)
    flows.insert(3, network_tasks.GetAmphoraeNetworkConfigs(
        requires=constants.LOADBALANCER_ID, provides=constants.AMPHORAE_NETWORK_CONFIG))
    return flows


listeners_flow = load_balancer_flows.LoadBalancerFlows._create_listeners_flow
load_balancer_flows.LoadBalancerFlows._create_listeners_flow = with_networks
controller_worker.ControllerWorker.run_flow = with_arguments
sys.exit(octavia_worker.main())
