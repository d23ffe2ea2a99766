"""What the supervisor can learn of a container from the kernel, without any capability."""

from __future__ import annotations

import json
from typing import Any

from lab import Lab
from tests.lab.programs import python
from tests.lab.services import AddService

SPENDS = """
import socket, time

kept = bytearray(b"x" * 30_000_000)
while time.process_time() < 0.5:
    pass
server = socket.create_server(("", 80))
while True:
    server.accept()[0].close()
"""

LOOK = """
import json, sys
sys.path.insert(0, sys.argv[1])
from wakeport.runtimes.cgroup import usage
pid = int(sys.argv[2])
found = usage(pid)
print(json.dumps(found and {"cpu": found.cpu, "memory": found.memory}))
"""

POWERLESS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]


def look(lab: Lab, pid: int) -> Any:
    programs = next(path for path in (lab.root / "usr/local/lib/wakeport").iterdir() if path.is_dir())
    where = f"/usr/local/lib/wakeport/{programs.name}"
    return json.loads(lab.run([*POWERLESS, "/usr/bin/python3", "-IS", "-c", LOOK, where, str(pid)]).stdout)


def test_processor_time_and_memory_of_a_container_and_of_nothing_else(service: AddService) -> None:
    web = service(idle="1h", command=python(SPENDS))
    web.systemctl("start", web.units.supervisor)
    pid = int(web.lab.docker("inspect", "--format={{.State.Pid}}", "web"))
    found = look(web.lab, pid)
    assert 0.5 <= found["cpu"] < 30
    assert 30_000_000 < found["memory"] < 200_000_000
    assert look(web.lab, 1) is None  # systemd, in no container
    web.systemctl("stop", web.units.supervisor)
    assert look(web.lab, pid) is None
