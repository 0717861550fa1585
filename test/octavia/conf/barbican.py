"""barbican-api, put together as Debian's package barbican-common has it. It looks for barbican.conf in its home."""
from paste import deploy

application = deploy.loadapp("config:{{.Dir}}/conf/barbican-paste.ini")
