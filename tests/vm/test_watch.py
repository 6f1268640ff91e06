# SPDX-License-Identifier: GPL-2.0-or-later
"""What other programs see of a machine that carries: metrics, a picture, Varlink."""

from __future__ import annotations

import json
import time
import xml.dom.minidom

import pytest
from conftest import Lab
from lab import check

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
s.connect("/run/carryover/io.carryover")
s.settimeout(60)
s.sendall(sys.argv[1].encode().replace(b"|", b"\\0"))
s.shutdown(socket.SHUT_WR)
got = b""
while part := s.recv(65536):
    got += part
print(got.decode().replace("\\0", ""))
"""


@pytest.mark.rotates
@pytest.mark.parametrize("distribution", ["bookworm", "trixie"])
def test_watched(lab: Lab, distribution: str) -> None:
    """A file for node_exporter before and after a jump, by the timer that is not enabled before; and the timeline drawn."""
    machine = lab.machine(distribution)
    session = machine.session("root")
    assert machine.run("systemctl is-enabled carryover-metrics.timer", check=False).strip() == "disabled"
    assert "MetricsDirectory=" in machine.run("systemctl start carryover-metrics.service; journalctl -b -u carryover-metrics.service")
    machine.run(f"mkdir -p {NODE_EXPORTER} && systemctl enable --now carryover-metrics.timer && systemctl start carryover-metrics.service")
    found = metrics(machine.run(f"runuser -u nobody cat {NODE_EXPORTER}/carryover.prom"))
    assert found["carryover_kept_trees"] == 0 and found['carryover_phase{phase="idle"}'] == 1
    assert found['carryover_check{level="ok"}'] == 1, machine.run("carryover check session:1 --json=pretty", check=False)
    assert not any(name.startswith("carryover_last") for name in found)

    old = check.before(machine, session)
    session.send_line("carryover reboot; echo \"returned\" $?.")
    assert session.expect(r"returned (\d+)\.", 240).group(1) == "0", session.text()[-1500:]
    check.other_boot(machine, old)
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


@pytest.mark.rotates
@pytest.mark.parametrize("distribution", ["bookworm", "trixie"])
def test_varlink(lab: Lab, distribution: str) -> None:
    """The verbs for programs: the same JSON, errors by name, nothing for others than root; and with systemd's own client on Debian 13."""
    machine = lab.machine(distribution)
    assert machine.run("systemctl is-enabled carryover-varlink.socket", check=False).strip() == "disabled"
    machine.run("systemctl enable --now carryover-varlink.socket")
    session = machine.session("root")
    number = check.before(machine, session).number
    machine.run(f"carryover keep session:{number}")
    machine.write("/root/talk", TALK)

    def talk(method: str, parameters: str = "{}", user: str = "root") -> str:
        message = f'{{"method":"{method}","parameters":{parameters}}}|'
        return machine.run(f"runuser -u {user} -- /usr/bin/python3 - '{message}' </root/talk 2>&1", check=False)

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
    # What is no call, many at once, and who says nothing: the next one is answered all the same.
    assert machine.run("/usr/bin/python3 - 'nonsense|' </root/talk").strip() == ""
    machine.run("head -c 70000 /dev/zero | tr '\\0' x >/root/long && /usr/bin/python3 -c 'import socket, time\n"
                "ends = [socket.socket(socket.AF_UNIX) for i in range(40)]\n"
                "for s in ends: s.connect(\"/run/carryover/io.carryover\")\n"
                "time.sleep(1)'")
    assert json.loads(talk("io.carryover.Status"))["parameters"]["kept"] == 1
    assert machine.run("ls -la /run/carryover/io.carryover").startswith("srw-------")
    if distribution == "trixie":
        print(machine.run("varlinkctl introspect /run/carryover/io.carryover io.carryover"))
        machine.run("varlinkctl introspect /run/carryover/io.carryover io.carryover >/root/idl && varlinkctl validate-idl /root/idl")
        assert "io.carryover" in machine.run("varlinkctl info /run/carryover/io.carryover")
        answer = json.loads(machine.run("varlinkctl call /run/carryover/io.carryover io.carryover.Status '{}' --json=short"))
        assert answer == status
        assert "Failed" in machine.run("varlinkctl call /run/carryover/io.carryover io.carryover.Status '{\"tree\":\"x\"}' 2>&1", check=False)
    machine.run("systemctl stop carryover-varlink.socket && test ! -e /run/carryover/io.carryover")
