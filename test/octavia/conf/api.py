"""octavia-api whose no-op network driver knows a network with two subnets and a port from the start. It makes up whatever
else it is asked for, but subnets that it makes up are in no network together, and ports that it makes up have no
address."""
from octavia.network import data_models
from octavia.network.drivers.noop_driver import driver

known = driver._NOOP_MANAGER_VARS
for subnet in ("{{.Subnet}}", "{{.SubnetIPv6}}"):
    known["subnets"][subnet] = data_models.Subnet(id=subnet, network_id="{{.Network}}")
known["ports"]["{{.Port}}"] = data_models.Port(
    id="{{.Port}}", network_id="{{.Network}}",
    fixed_ips=[data_models.FixedIP(subnet_id="{{.Subnet}}", ip_address="{{.PortAddress}}")])

from octavia.api.app import setup_app  # noqa: E402

application = setup_app()
