"""octavia-worker with the correction that Octavia 11.0.1 brought (commit cfd87ccba): the flow's keyword arguments,
among them the listeners of a load balancer that is created in one call, reach the flow."""
import sys

from octavia.cmd import octavia_worker
from octavia.controller.worker.v2 import controller_worker


def with_arguments(worker, make_flow, *args, store=None, **kwargs):
    flow = make_flow(*args, **kwargs)
    worker.tf_engine.taskflow_load(flow, store=store).run()


controller_worker.ControllerWorker.run_flow = with_arguments
sys.exit(octavia_worker.main())
