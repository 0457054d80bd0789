"""The user data, run: in a root folder of its own, with Debian's programs and stand-ins for the few of
AWS's host that it calls (aws, dnf, systemctl, systemd-sysusers, the agent's control program).

It shows which files are where with which rights, what is called in which order, and that a file with
another SHA-256 stops everything. It does not show that Amazon Linux has these packages.
"""

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import tomllib

STAND_INS = {
    # The release's objects are files of this folder.
    "aws": 'case "$1 $2" in "s3api get-object") ;; *) exit 9 ;; esac\n'
    'shift 2\nwhile [ "${1#--}" != "$1" ]; do case $1 in --key) key=$2 ;; --bucket) bucket=$2 ;; esac; shift 2; done\n'
    'echo "aws $bucket $key" >>/calls\ncp "/release/$bucket/$key" "$1"\n',
    "dnf": 'echo "dnf $*" >>/calls\nmkdir -p /opt/aws/amazon-cloudwatch-agent/bin\n'
    "cp /stand-ins/agent /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl\n",
    "agent": 'echo "agent $*" >>/calls\n',
    "systemctl": 'echo "systemctl $*" >>/calls\n',
    "systemd-sysusers": 'echo "systemd-sysusers" >>/calls\ntest -s /usr/lib/sysusers.d/nitro-signer.conf\n'
    'echo "nitro-signer:x:0:0::/:/bin/false" >>/etc/passwd\necho "nitro-signer:x:0:" >>/etc/group\n',
}

# A mount namespace of its own; nothing of it is left when the shell ends. The service's user is given
# the id 0, the only one that such a namespace has for everybody who may run this.
ENTER = """
set -e
root=$1
mount -t tmpfs none "$root/usr" -o mode=755
for folder in /usr/*; do mkdir "$root$folder"; done
for folder in bin lib lib64 sbin libexec; do
    [ ! -d "/usr/$folder" ] || mount --rbind "/usr/$folder" "$root/usr/$folder"
done
[ ! -d /usr/lib/sysusers.d ] || mount -t tmpfs none "$root/usr/lib/sysusers.d"
for folder in bin sbin lib lib64; do
    if [ -L "/$folder" ]; then ln -s "$(readlink "/$folder")" "$root/$folder"
    elif [ -d "/$folder" ]; then mkdir "$root/$folder"; mount --rbind "/$folder" "$root/$folder"; fi
done
touch "$root/dev/null" "$root/dev/stdin"
mount --bind /dev/null "$root/dev/null"
rm "$root/dev/stdin"; ln -s /proc/self/fd/0 "$root/dev/stdin"
mount --rbind /proc "$root/proc"
status=0
PATH=/stand-ins:/usr/bin:/bin:/usr/sbin:/sbin chroot "$root" /usr/bin/bash /user-data || status=$?
# What it wrote below /usr goes with the mount.
mkdir "$root/written"
cp -a "$root/usr/local" "$root/written/local"
cp -a "$root/usr/lib/sysusers.d" "$root/written/sysusers.d" 2>/dev/null || true
exit $status
"""


def run(user_data, release, folder):
    """The exit code, its output, the calls, and the folder in which everything was written."""
    root = pathlib.Path(tempfile.mkdtemp(dir=folder))
    for name in ("usr", "etc", "dev", "proc", "opt", "tmp", "stand-ins", "release"):
        (root / name).mkdir()
    shutil.copytree(release, root / "release", dirs_exist_ok=True)
    (root / "user-data").write_text(user_data)
    (root / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "calls").touch()
    for name, body in STAND_INS.items():
        program = root / "stand-ins" / name
        program.write_text("#!/bin/bash\nset -e\n" + body)
        program.chmod(0o755)
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "bash", "-c", ENTER, "enter", str(root)],
        env={"PATH": os.environ["PATH"]}, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )
    return done.returncode, done.stdout, (root / "calls").read_text().splitlines(), root


def judge(user_data, objects, bucket, folder):
    """What is wrong with a host that was started with this user data; nothing, if all is well."""
    release = folder / "release"
    for key, content in objects.items():
        path = release / bucket / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    code, output, calls, root = run(user_data, release, folder)
    wrong = [] if code == 0 else [f"the user data ended with {code}: {output[-2000:]}"]
    wrong += _installed(root, objects) + _order(calls) if code == 0 else []

    for key in objects:
        path = release / bucket / key
        path.write_bytes(objects[key] + b"!")
        code, output, calls, root = run(user_data, release, folder)
        path.write_bytes(objects[key])
        if code == 0 or any(not call.startswith("aws ") for call in calls) or (root / "etc/nitro-signer").exists():
            wrong.append(f"{key} with another SHA-256 was not refused: {calls}")
        if key not in output:
            wrong.append(f"the refusal does not name {key}: {output}")
    return wrong


def _installed(root, objects):
    wrong = []
    content = {key.rsplit("/", 1)[1]: value for key, value in objects.items()}
    expected = {
        "written/local/bin/nitro-signer": (content["nitro-signer"], 0o755),
        "etc/nitro-signer/enclave.eif": (content["enclave.eif"], 0o644),
        "etc/nitro-signer/measurements.json": (content["measurements.json"], 0o644),
        "etc/nitro-signer/manifest.cbor": (content["manifest.cbor"], 0o644),
        "etc/nitro-signer/server.pem": (content["server.pem"], 0o644),
        "etc/nitro-signer/server.key": (content["server.key"], 0o600),
        "etc/nitro-signer/clients.pem": (content["clients.pem"], 0o644),
    }
    for path, (bytes_, mode) in expected.items():
        file = root / path
        if not file.exists() or file.read_bytes() != bytes_ or stat.S_IMODE(file.stat().st_mode) != mode:
            wrong.append(f"{path} is missing, or has other content or rights")
    units = {path.name for path in (root / "etc/systemd/system").iterdir()}
    if units != {"nitro-signer.service", "nitro-signer-enclave.service"}:
        wrong.append(f"the units are {units}")
    parent = tomllib.loads((root / "etc/nitro-signer/parent.toml").read_text())
    if set(parent) != {"listen", "ops_listen", "enclave", "manifest", "store", "store_region", "tls", "credentials"}:
        wrong.append(f"parent.toml has {sorted(parent)}")
    if not parent["store"].startswith("s3://") or parent["credentials"] != {"source": "imds"} or parent["enclave"] != "vsock:16":
        wrong.append(f"parent.toml is {parent}")
    for name in (parent["manifest"], *parent["tls"].values()):
        if not (root / "etc/nitro-signer" / name).exists():
            wrong.append(f"parent.toml names {name}, which is not installed")
    return wrong


def _order(calls):
    steps = [call for call in calls if not call.startswith("aws ")]
    expected = [
        "dnf install --assumeyes aws-nitro-enclaves-cli amazon-cloudwatch-agent",
        "systemd-sysusers",
        "systemctl daemon-reload",
        "systemctl enable nitro-enclaves-allocator.service",
        "systemctl restart nitro-enclaves-allocator.service",
        "systemctl enable --now nitro-signer-enclave.service nitro-signer.service",
        "agent -a fetch-config -m ec2 -s -c file:/opt/aws/amazon-cloudwatch-agent/etc/nitro-signer.json",
    ]
    wrong = [] if steps == expected else [f"the host was set up in another order: {steps}"]
    if calls[:7] != [call for call in calls if call.startswith("aws ")]:
        wrong.append("something was done before every file was there")
    return wrong
