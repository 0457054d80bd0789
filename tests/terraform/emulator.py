"""moto's server on a free port of loopback, and what boto3 reads back from it.

moto keeps what it is told and answers as AWS does; it enforces no policy, starts no host, records no
trail and evaluates no filter. LIMITS says so in the test's output, and DIFFERENCES lists what it does
not give back as it was told.
"""

import json
import subprocess
import sys

import boto3

REGION = "eu-central-1"

LIMITS = [
    "KMS: policies are kept, not enforced, and a principal need not exist (the linter and the development KMS judge them)",
    "IAM, S3 and VPC endpoints: policies are kept, not enforced",
    "EC2: an instance runs nothing: the user data is run in a sandbox instead; the launch template's enclave and metadata options are read back from the template",
    "CloudTrail records nothing, CloudWatch evaluates no filter and no alarm, SNS mails nobody: filters and rules are held against events by this test",
    "KMS: after ReplicateKey moto calls the primary a replica too, and gives the replica the primary's aliases: the replica is applied last, with another alias, and no second plan is made of it",
    "network load balancer, security groups and autoscaling pass and replace nothing",
]

# By type: the attributes that a second plan would change, and why.
DIFFERENCES = {
    "aws_vpc_security_group_ingress_rule": ({"description"}, "moto does not give a rule's description back"),
    "aws_vpc_security_group_egress_rule": ({"description"}, "moto does not give a rule's description back"),
    "aws_kms_key": ({"rotation_period_in_days"}, "moto gives no rotation period back but its default"),
    "aws_cloudwatch_log_metric_filter": ({"pattern"}, "moto keeps a filter's first pattern when it is put again"),
    "aws_instance": (None, "moto's instance has not what its launch template says (security group, metadata options, enclave, volume)"),
}


# A process of its own for each, because moto's state is the process's. It says its port, and ends when
# the pipe to it does.
SERVE = """
import logging, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""


class Emulator:
    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        port = self.process.stdout.readline().strip()
        if not port.isdigit():
            raise RuntimeError("moto's server did not start: is this the Python of requirements.txt?")
        self.url = f"http://127.0.0.1:{port}"

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def client(self, service, region=REGION):
        return boto3.client(
            service, endpoint_url=self.url, region_name=region, aws_access_key_id="test", aws_secret_access_key="test"
        )

    def key_policy(self, arn):
        region = arn.split(":")[3]
        answer = self.client("kms", region).get_key_policy(KeyId=arn, PolicyName="default")
        return json.loads(answer["Policy"])

    def keys_left(self):
        """Customers' keys that are not pending deletion."""
        left = []
        for region in (REGION, "eu-west-1"):
            kms = self.client("kms", region)
            for key in kms.list_keys()["Keys"]:
                about = kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
                ours = about["Description"].startswith("nitro-signer")
                if ours and about["KeyState"] not in ("PendingDeletion", "PendingReplicaDeletion"):
                    left.append(f"{about['Arn']} ({about['KeyState']})")
        return left

    def place(self):
        """A VPC with two subnets, for what the examples take as given."""
        ec2 = self.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{i}.0/24", AvailabilityZone=REGION + zone)["Subnet"]["SubnetId"]
            for i, zone in enumerate("ab")
        ]
        return {
            "vpc_id": vpc,
            "subnet_ids": subnets,
            "route_table_ids": [ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]],
            "clients": {"backend": ec2.create_security_group(GroupName="backend", Description="b", VpcId=vpc)["GroupId"]},
            "ami_id": ec2.describe_images()["Images"][0]["ImageId"],
        }


def unexplained(plan):
    """What a second plan would change beyond DIFFERENCES, and the differences that occurred."""
    surprises, seen = [], set()
    for change in plan.get("resource_changes", []):
        actions = change["change"]["actions"]
        if actions in (["no-op"], ["read"]):
            continue
        before, after = change["change"]["before"] or {}, change["change"]["after"] or {}
        unknown = change["change"].get("after_unknown") or {}
        changed = {k for k in {*before, *after} if before.get(k) != after.get(k)} | {k for k, v in unknown.items() if v is True}
        allowed, _ = DIFFERENCES.get(change["type"], (set(), ""))
        if allowed is None or (actions == ["update"] and changed <= allowed):
            seen.add(change["type"])
        else:
            surprises.append(f"{change['address']}: {actions} {sorted(changed)}")
    return surprises, seen
