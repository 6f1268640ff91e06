# SPDX-License-Identifier: GPL-2.0-or-later
"""What other programs see of a machine that carries: metrics, a picture, Varlink."""

from __future__ import annotations

import json
import time
import xml.dom.minidom
from typing import Callable

import pytest
from conftest import Lab
from lab import check
from lab.machine import Machine
from lab.util import wait_for

NODE_EXPORTER = "/var/lib/prometheus/node-exporter"


def metrics(text: str) -> dict[str, float]:
    """What Prometheus' own parser finds, where it is; OpenMetrics says how a text must end."""
    assert text.endswith("\n# EOF\n"), text
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}
    try:
        from prometheus_client.openmetrics import parser
    except ImportError:
        return found
    samples = [s for family in parser.text_string_to_metric_families(text) for s in family.samples]
    assert len(samples) == len(found)
    return found


# One end of a connection, on a machine that need not have varlinkctl: each line of the input is a message.
TALK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[2] if len(sys.argv) > 2 else "/run/carryover/io.carryover")
s.settimeout(60)
s.sendall(sys.argv[1].encode().replace(b"|", b"\\0"))
s.shutdown(socket.SHUT_WR)
got = b""
while part := s.recv(65536):
    got += part
print(got.decode().replace("\\0", ""))
"""

# A program in the session that is carried: it reboots the machine, is cut off, and asks the next boot what became of it.
REBOOTS = """
import json, socket, time

def call(method, **more):
    s = socket.socket(socket.AF_UNIX)
    got = b""
    try:
        s.connect("/run/carryover/io.carryover")
        s.sendall(json.dumps({"method": "io.carryover." + method, **more}).encode() + b"\\0")
        while part := s.recv(65536):
            *whole, got = (got + part).split(b"\\0")
            yield from map(json.loads, whole)
    except OSError:
        pass
    s.close()

for answer in call("Reboot"):
    print("told", json.dumps(answer), flush=True)
print("cut off", flush=True)
verdict = None
while verdict in (None, "pending"):
    for answer in call("Subscribe", more=True):
        verdict = answer["parameters"].get("verdict")
        print("phase", answer["parameters"]["phase"], verdict, flush=True)
        if verdict not in (None, "pending"):
            break
    time.sleep(0.2)
print("in the end", verdict + ".", flush=True)
"""

# All at once: how many have an answer, and how many are refused. They stay open while the input does.
MANY = """
import socket, sys
path, n, call = sys.argv[1], int(sys.argv[2]), b'{"method":"org.varlink.service.GetInfo"}\\0'
ends = [socket.socket(socket.AF_UNIX) for i in range(n)]
def answered(s):
    try:
        s.settimeout(60)
        s.connect(path)
        s.sendall(call)
        return len(s.recv(4096)) > 0
    except OSError:
        return False
print("answers:", sum(map(answered, ends)), flush=True)
sys.stdin.read()
"""

REBOOT = '{"method":"io.carryover.Reboot"}|'
ROOTS, USERS = "/run/carryover/io.carryover", "/run/io.carryover"

# As fast as it goes: what systemd's limits are for.
FLOOD = """
import socket
for i in range(1000):
    with socket.socket(socket.AF_UNIX) as s:
        if s.connect_ex("/run/io.carryover"):
            break
print(i)
"""

RULES = """polkit.addRule(function(action, subject) {
    if (subject.user == "joe" && action.id == "io.carryover.keep") return polkit.Result.YES;
    if (subject.user == "nobody" && action.id == "io.carryover.reboot") return polkit.Result.NO;
});
"""


@pytest.mark.rotates
@pytest.mark.parametrize("distribution", ["bookworm", "trixie"])
def test_watched(lab: Lab, distribution: str) -> None:
    """A file for node_exporter before and after a jump, by the timer that is not enabled before; and the timeline drawn. A program
    asks for the jump, by Varlink, and is carried."""
    machine = lab.machine(distribution)
    machine.run("systemctl enable --now carryover-varlink.socket")
    machine.write("/root/reboots", REBOOTS)
    session = machine.session("root")
    assert machine.run("systemctl is-enabled carryover-metrics.timer", check=False).strip() == "disabled"
    assert "MetricsDirectory=" in machine.run("systemctl start carryover-metrics.service; journalctl -b -u carryover-metrics.service")
    machine.run(f"mkdir -p {NODE_EXPORTER} && systemctl enable --now carryover-metrics.timer && systemctl start carryover-metrics.service")
    found = metrics(machine.run(f"runuser -u nobody cat {NODE_EXPORTER}/carryover.prom"))
    assert found["carryover_kept_trees"] == 0 and found['carryover_phase{phase="idle"}'] == 1
    assert found['carryover_check{level="ok"}'] == 1, machine.run("carryover check session:1 --json=pretty", check=False)
    assert not any(name.startswith("carryover_last") for name in found)

    old = check.before(machine, session)
    session.send_line("python3 /root/reboots")
    answer = json.loads(session.expect(r"told (.*)\r", 60).group(1))
    assert "error" not in answer, answer
    told = answer["parameters"]
    assert told["new"]["kernel"] != old.kernel and len(told["keeps"]["trees"]) == 1, told
    session.expect("cut off", 60)
    assert session.expect(r"in the end (\w+)\.", 240).group(1) == "carried", session.text()[-1500:]
    check.other_boot(machine, old)
    assert machine.kernel() == told["new"]["kernel"]
    machine.run("systemctl start carryover-metrics.service")
    found = metrics(machine.run(f"cat {NODE_EXPORTER}/carryover.prom"))
    print(found)
    assert found['carryover_last_verdict{verdict="carried"}'] == 1 and found['carryover_last_trees{outcome="carried"}'] == 1
    assert 0 < found["carryover_last_gap_seconds"] < 240
    assert 0 < time.time() - found["carryover_last_save_timestamp_seconds"] < 600
    assert found["carryover_store_bytes"] > 0
    assert metrics(machine.run("carryover status --openmetrics")).keys() == found.keys()
    for last in ("", " --last=1"):
        machine.run(f"carryover status --svg=/root/timeline.svg{last}")
        picture = machine.run("cat /root/timeline.svg")
        (lab.directory / "timeline.svg").write_text(picture)
        texts = [node.firstChild.data for node in xml.dom.minidom.parseString(picture).getElementsByTagName("text")]
        assert any(text.startswith("save.seal (") for text in texts) and any("is silent (" in text for text in texts), texts


def all_have_ended(machine: Machine) -> None:
    """systemd counts a connection until it has seen the end of its process."""
    wait_for("the end of all connections", lambda: not machine.run("systemctl list-units --legend=no 'carryover-varlink*.service'").strip(), 60, 0.2)


def users_by_polkit(machine: Machine, distribution: str, talk: Callable[..., str], target: str) -> None:
    """Others than root, with the polkit of the distribution: refused, allowed by a rule, and without it root alone."""
    def error(method: str, parameters: str = "{}", user: str = "joe") -> str:
        answer = json.loads(talk(f"io.carryover.{method}", parameters, user, USERS))
        print(user, method, answer)
        return str(answer.get("error"))

    assert machine.run("systemctl is-enabled carryover-varlink-users.socket", check=False).strip() == "disabled"
    machine.run("systemctl enable --now carryover-varlink-users.socket")
    asks = "io.carryover.InteractiveAuthenticationRequired"
    assert "vendor" in talk("org.varlink.service.GetInfo", user="joe", path=USERS)
    for method in ("List", "CheckAll", "Status", "Subscribe", "DropAll", "Reboot"):
        assert error(method) == asks
    assert error("Keep", target) == asks
    assert error("List", '{"allowInteractiveAuthentication":true}') == asks  # nobody is there who could ask
    assert error("List", user="root") == "None"

    machine.write("/etc/polkit-1/rules.d/50-lab.rules", RULES)
    machine.run("systemctl restart polkit")
    assert error("DropAll") == "None" and error("Keep", target) == "None" and error("List") == asks
    assert error("Reboot", '{"yes":true}', "nobody") == "org.varlink.service.PermissionDenied"
    assert json.loads(machine.run("carryover status --json", check=False))["kept"] == 1
    # joe holds all that he can have, and root is answered as often as ever.
    all_have_ended(machine)
    with machine.session("joe") as joe:
        joe.send_line(f"python3 /srv/many {USERS} 40")
        assert int(joe.expect(r"answers: (\d+)", 60).group(1)) == (16 if distribution == "bookworm" else 4)
        assert machine.run(f"python3 /srv/many {ROOTS} 40 </dev/null") == "answers: 32\n"
    machine.run("systemctl mask --runtime --now polkit")
    answer = talk("io.carryover.Keep", target, "joe", USERS)
    assert "only root may call this, since polkit does not answer" in answer, answer
    assert error("List", user="root") == "None"
    machine.run("systemctl unmask --runtime polkit")
    machine.write("/root/flood", FLOOD)
    print("flood:", machine.run("runuser -u joe -- python3 - </root/flood; systemctl show -P ActiveState carryover-varlink-users.socket"))
    assert json.loads(talk("io.carryover.Status"))["parameters"]["kept"] == 1


@pytest.mark.rotates
@pytest.mark.parametrize("distribution", ["bookworm", "trixie"])
def test_varlink(lab: Lab, distribution: str) -> None:
    """The verbs for programs: the same JSON, errors by name, nothing for others than root; and with systemd's own client on Debian 13."""
    machine = lab.machine(distribution)
    assert machine.run("systemctl is-enabled carryover-varlink.socket", check=False).strip() == "disabled"
    machine.run("systemctl enable --now carryover-varlink.socket")
    session = machine.session("root")
    number = check.before(machine, session).number
    machine.write("/root/talk", TALK)

    def talk(method: str, parameters: str = "{}", user: str = "root", path: str = ROOTS) -> str:
        message = f'{{"method":"{method}","parameters":{parameters}}}|'
        return machine.run(f"runuser -u {user} -- /usr/bin/python3 - '{message}' {path} </root/talk 2>&1", check=False)

    target = f'{{"target":"session:{number}"}}'
    assert [tree["level"] for tree in json.loads(talk("io.carryover.Keep", target))["parameters"]["trees"]] == ["ok"]
    assert [tree["why"] for tree in json.loads(machine.run("carryover list --json"))["trees"]] == ["keep"]
    assert json.loads(talk("io.carryover.Drop", target)) == {"parameters": {}}
    assert json.loads(talk("io.carryover.Drop", target))["error"] == "io.carryover.NotKept"
    assert json.loads(machine.run("carryover list --json", check=False))["trees"] == []
    assert json.loads(talk("io.carryover.Reboot"))["error"] == "io.carryover.WouldEnd"  # the other session
    nothing = machine.run(f"systemd-run -q --pipe --wait /usr/bin/python3 - '{REBOOT}' </root/talk")
    assert json.loads(nothing)["error"] == "io.carryover.NothingKept", nothing
    assert "parameters" in json.loads(talk("io.carryover.Keep", target))
    status = json.loads(talk("io.carryover.Status"))["parameters"]
    assert status == json.loads(machine.run("carryover status --json", check=False)) and status["kept"] == 1, status
    trees = json.loads(talk("io.carryover.List"))["parameters"]
    assert trees == json.loads(machine.run("carryover list --json"))
    one = json.loads(talk("io.carryover.Check", f'{{"target":"session:{number}"}}'))["parameters"]
    assert [tree["level"] for tree in one["trees"]] == ["ok"], one
    assert "things" in json.loads(talk("io.carryover.CheckAll"))["parameters"]
    assert json.loads(talk("io.carryover.History")) == {"parameters": {"reports": []}}
    assert json.loads(talk("io.carryover.Status", '{"tree":"x"}'))["error"] == "io.carryover.Failed"
    assert "PermissionError" in talk("org.varlink.service.GetInfo", user="nobody")
    # What is no call, and who says nothing: the next one is answered all the same.
    assert machine.run("/usr/bin/python3 - 'nonsense|' </root/talk").strip() == ""
    inhibited = machine.run(f"systemd-inhibit --what=shutdown --who=lab --why=test /usr/bin/python3 - '{REBOOT}' </root/talk")
    assert json.loads(inhibited)["error"] == "io.carryover.Inhibited", inhibited
    machine.write("/srv/many", MANY)
    all_have_ended(machine)
    assert machine.run(f"python3 /srv/many {ROOTS} 40 </dev/null") == "answers: 32\n"
    all_have_ended(machine)
    assert json.loads(talk("io.carryover.Status"))["parameters"]["kept"] == 1
    assert machine.run("ls -la /run/carryover/io.carryover").startswith("srw-------")
    if distribution == "trixie":
        print(machine.run("varlinkctl introspect /run/carryover/io.carryover io.carryover"))
        machine.run("varlinkctl introspect /run/carryover/io.carryover io.carryover >/root/idl && varlinkctl validate-idl /root/idl")
        assert "io.carryover" in machine.run("varlinkctl info /run/carryover/io.carryover")
        answer = json.loads(machine.run("varlinkctl call /run/carryover/io.carryover io.carryover.Status '{}' --json=short"))
        assert answer == status
        assert "Failed" in machine.run("varlinkctl call /run/carryover/io.carryover io.carryover.Status '{\"tree\":\"x\"}' 2>&1", check=False)
    users_by_polkit(machine, distribution, talk, target)
    machine.run("systemctl stop carryover-varlink.socket && test ! -e /run/carryover/io.carryover")
