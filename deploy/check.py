"""What `check` asks of files: check.py board|alerts|manifests|units FOLDER. Says what is wrong; 1 where anything is."""

import json
import re
import sys
from pathlib import Path

HISTOGRAMS = {"volet_commit_seconds", "volet_call_seconds"}
METRICS = {
    "volet_rounds_total": {"outcome"},
    "volet_round_number": set(),
    "volet_round_sites": {"step"},
    "volet_reports_accepted_total": set(),
    "volet_messages_total": {"kind", "outcome"},
    "volet_message_bytes_total": set(),
    "volet_dropouts_total": {"step"},
    "volet_epsilon_spent": set(),
    "volet_epsilon_budget": set(),
    "volet_sites_enrolled": set(),
    "volet_release_number": set(),
    "volet_model_quality": set(),
    "volet_commit_seconds": set(),
    "volet_call_seconds": {"call"},
    "volet_calls_refused_total": {"reason"},
    "volet_connections": set(),
    "process_resident_memory_bytes": set(),
    "process_cpu_seconds_total": set(),
    "process_open_fds": set(),
}
NAMES = set(METRICS) | {name + end for name in HISTOGRAMS for end in ("_bucket", "_count", "_sum")}
wrong = []


def expect(holds, message):
    if not holds:
        wrong.append(message)


def expression(text, where):
    for name in re.findall(r"\b(?:volet|process)_[a-z_]+\b", text):
        expect(name in NAMES, f"{where}: there is no metric {name}")
    expect(text.count("(") == text.count(")") and text.count("{") == text.count("}"), f"{where}: brackets do not match")
    # Labels in selectors.
    for name, labels in re.findall(r"\b((?:volet|process)_[a-z_]+)\{([^}]*)\}", text):
        known = METRICS.get(re.sub(r"_(bucket|count|sum)$", "", name), METRICS.get(name, set())) | {"job", "instance", "le"}
        for label in re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", labels):
            expect(label in known, f"{where}: {name} has no label {label}")


def board(folder):
    read = json.loads((folder / "grafana/volet.json").read_text())
    expect(read.get("schemaVersion", 0) >= 39, "the board's schema is older than 39")
    variables = {variable["name"]: variable for variable in read["templating"]["list"]}
    expect(variables.get("datasource", {}).get("type") == "datasource", "the board has no variable for its data source")
    seen, taken, used = set(), set(), set()
    for panel in read["panels"]:
        where = f"panel {panel['title']}"
        expect(panel["id"] not in seen, f"{where}: its id is another's")
        seen.add(panel["id"])
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        expect(at["x"] + at["w"] <= 24 and not cells & taken, f"{where}: lies over another, or over the edge")
        taken |= cells
        for target in panel.get("targets", []):
            expect(target["datasource"]["uid"] == "${datasource}", f"{where}: its data source is not the variable")
            expression(target["expr"], where)
            used |= set(re.findall(r"\b(?:volet|process)_[a-z_]+\b", target["expr"]))
    used = {re.sub(r"_(bucket|count|sum)$", "", name) if name not in METRICS else name for name in used}
    for name in sorted(set(METRICS) - used):
        expect(False, f"no panel shows {name}")


def alerts(folder):
    import yaml

    read = yaml.safe_load((folder / "prometheus/alerts.yaml").read_text())
    names = set()
    for group in read["groups"]:
        for rule in group["rules"]:
            where = f"alert {rule['alert']}"
            expect(rule["alert"] not in names, f"{where} is there twice")
            names.add(rule["alert"])
            expect({"summary", "description"} <= set(rule["annotations"]), f"{where}: says too little")
            expect("severity" in rule["labels"], f"{where}: no severity")
            expression(rule["expr"], where)
    yaml.safe_load((folder / "prometheus/scrape.yaml").read_text())


def manifests(folder):
    import yaml

    folder /= "kubernetes"
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    files = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    expect(files == set(kustomization["resources"]), "kustomization.yaml does not name the files that are there")
    things = [thing for name in sorted(files) for thing in yaml.safe_load_all((folder / name).read_text())]
    known = {(thing["kind"], thing["metadata"]["name"]) for thing in things}
    for thing in things:
        if thing["kind"] != "Namespace":
            expect(thing["metadata"].get("namespace") == "volet", f"{thing['kind']} {thing['metadata']['name']}: not in namespace volet")
    one = next(thing for thing in things if thing["kind"] == "StatefulSet")["spec"]
    pod, labels = one["template"]["spec"], one["template"]["metadata"]["labels"]
    expect(("Service", one["serviceName"]) in known, "the replicas' service is not there")
    expect(("ServiceAccount", pod["serviceAccountName"]) in known, "the service account is not there")
    ports = {port["name"] for container in pod["containers"] for port in container["ports"]}
    for thing in things:
        spec = thing.get("spec", {})
        if thing["kind"] == "Service":
            expect(spec["selector"].items() <= labels.items(), f"Service {thing['metadata']['name']}: finds no pod")
            for port in spec["ports"]:
                expect(port["targetPort"] in ports, f"Service {thing['metadata']['name']}: no port {port['targetPort']}")
        if thing["kind"] == "PodDisruptionBudget":
            expect(spec["selector"]["matchLabels"].items() <= labels.items(), "PodDisruptionBudget: finds no pod")
            expect(spec["minAvailable"] < one["replicas"], "PodDisruptionBudget: nothing could ever move")
    variables = {variable["name"] for container in pod["containers"] for variable in container["env"]}
    for name in ("VOLET_REPLICA_NAME", "VOLET_REPLICA_ADDRESS", "VOLET_DATABASE_URL"):
        expect(name in variables, f"the pods have no {name}")
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for volume in volumes.values():
        if "configMap" in volume:
            expect(("ConfigMap", volume["configMap"]["name"]) in known, f"volume {volume['name']}: no such ConfigMap")
    for container in pod["initContainers"] + pod["containers"]:
        for mount in container["volumeMounts"]:
            expect(mount["name"] in volumes, f"{container['name']}: no volume {mount['name']}")
        secured = container["securityContext"]
        expect(secured.get("readOnlyRootFilesystem") is True and secured.get("allowPrivilegeEscalation") is False, f"{container['name']}: not restricted")
    expect(not any(thing["kind"] == "Secret" for thing in things), "a secret lies among the manifests")
    try:
        import tomllib
    except ImportError:
        return
    for thing in things:
        if thing["kind"] == "ConfigMap":
            config = tomllib.loads(thing["data"]["config.toml"])
            expect(config["storage"]["kind"] == "postgres", "config.toml: replicas need PostgreSQL")
            expect(not config.get("replica", {}).get("name"), "config.toml: each pod has its own name")


def lines(path):
    """What a unit's file sets, in its order: name, value."""
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if re.match(r"[A-Za-z]+=", line))
    return [(name, value.strip()) for name, value in pairs]


# What docs/sandbox.md says of the camera's units.
CAMERA = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "PrivateTmp": "yes",
    "DevicePolicy": "closed",
    "MemoryDenyWriteExecute": "yes",
    "SystemCallArchitectures": "native",
    "RestrictNamespaces": "yes",
    "SocketBindDeny": "any",
    "LimitCORE": "0",
}


def units(folder):
    folder /= "systemd"
    known = {path.name for path in folder.glob("*.service")}
    users = {user for file in folder.glob("*.sysusers") for user in re.findall(r"^u (\S+)", file.read_text(), re.M)}
    for name in sorted(known):
        own = lines(folder / name)
        expect(dict(own).get("User") in users, f"{name}: its user is in no .sysusers")
        if name == "volet-aggregator.service":
            continue
        for key, value in CAMERA.items():
            expect((key, value) in own, f"{name}: {key}={value} is missing")
        calls = {word for key, value in own if key == "SystemCallFilter" and not value.startswith("~") for word in value.split()}
        for call in ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"):
            expect(call in calls, f"{name}: {call} is not allowed, so the program cannot lock itself in")
    for path in sorted(folder.glob("*.service.d/*.conf")):
        expect(path.parent.name.removesuffix(".d") in known, f"{path.parent.name}: there is no such unit")
    starts = [value for path in folder.rglob("*.*") if path.is_file() for key, value in lines(path) if key == "ExecStart"]
    for start in filter(lambda start: "volet-edge" in start, starts):
        expect(re.search(r" --sandbox (usual|strict) ", start), f"{start}: the sandbox is off, or not named")
    names = [path for path in folder.glob("volet-agent.service.d/addresses.conf") if ("IPAddressDeny", "any") in lines(path)]
    expect(len(names) == 1, "volet-agent.service.d/addresses.conf bounds no addresses")


if __name__ == "__main__":
    {"board": board, "alerts": alerts, "manifests": manifests, "units": units}[sys.argv[1]](Path(sys.argv[2]))
    for message in wrong:
        print(message, file=sys.stderr)
    sys.exit(1 if wrong else 0)
