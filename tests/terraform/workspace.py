"""A copy of terraform/ to run in, and terraform itself.

Nothing is written into the checkout. In the copy, override files give the provider credentials that
are none, and take prevent_destroy back where a test must clean up. No setting of whoever runs this
reaches terraform; it talks to a registry only if no folder with the provider is found.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MIRROR = "tf-plugins"
# Below the name of the registry, whichever it is.
PROVIDER = "*/hashicorp/aws"

FAKE_PROVIDER = """
provider "aws" {
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  %s
}
"""
OFFLINE = FAKE_PROVIDER % "skip_requesting_account_id = true"
ON_SERVER = FAKE_PROVIDER % "s3_use_path_style = true"

# What the modules keep from being destroyed.
KEPT = {
    "modules/key": ["aws_kms_key.this", "aws_kms_external_key.this"],
    "modules/key/replica": ["aws_kms_replica_key.this", "aws_kms_replica_external_key.this"],
    "modules/appliance": ["aws_kms_key.store", "aws_s3_bucket.store"],
}


class Missing(Exception):
    """Something is not installed; the text says what, and how to get it."""


class Failed(Exception):
    """A check does not hold; the text says which, with the output."""


def find_mirror():
    """The folder with the provider, or None: then terraform asks its registry."""
    named = os.environ.get("TF_PLUGIN_MIRROR")
    if named:
        if not any(pathlib.Path(named).glob(PROVIDER)):
            raise Missing(f"TF_PLUGIN_MIRROR names {named}, which has no {PROVIDER}")
        return pathlib.Path(named)
    bases = ["/opt", "/usr/local/share", "/usr/share", "/usr/local", "/var/lib", pathlib.Path.home()]
    for base in bases:
        mirror = pathlib.Path(base) / MIRROR
        if any(mirror.glob(PROVIDER)):
            return mirror
    return None


class Workspace:
    """The copy, in a folder that is gone in the end."""

    def __init__(self):
        self.terraform = shutil.which("terraform")
        if not self.terraform:
            raise Missing("terraform is not installed: get 1.9 or later (its tests: 1.11) from HashiCorp and put it into PATH")
        self.mirror = find_mirror()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="nitro-signer-terraform-"))
        ignore = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*")
        shutil.copytree(ROOT / "terraform", self.dir / "terraform", ignore=ignore)
        shutil.copytree(ROOT / "parent/deploy", self.dir / "parent/deploy")
        shutil.copytree(ROOT / "tests/terraform/moto", self.dir / "tests/terraform/moto", ignore=ignore)
        self.config = self.dir / "terraform.rc"
        lines = ["disable_checkpoint = true"]
        if self.mirror:
            lines.append('provider_installation {\n  filesystem_mirror {\n    path = "%s"\n  }\n}' % self.mirror)
        self.config.write_text("\n".join(lines) + "\n")

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def where(self):
        return f"the provider from {self.mirror}" if self.mirror else "the provider from its registry"

    def environment(self, server=None):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "TF_"))}
        kept |= {
            "TF_CLI_CONFIG_FILE": str(self.config),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "127.0.0.1",
        }
        return kept | ({"AWS_ENDPOINT_URL": server} if server else {})

    def run(self, folder, *arguments, server=None, codes=(0,)):
        """terraform in a folder of the copy; its output, if it ended with one of the codes."""
        command = [self.terraform, *arguments, *(["-no-color"] if arguments[0] != "fmt" else [])]
        done = subprocess.run(
            command, cwd=self.dir / folder, env=self.environment(server), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        )
        if done.returncode not in codes:
            raise Failed(f"{folder}: terraform {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout[-12000:]}")
        return done.returncode, done.stdout

    def init(self, folder):
        try:
            self.run(folder, "init", "-input=false")
        except Failed as failed:
            if self.mirror:
                raise
            raise Missing(
                f"no folder {MIRROR} with the AWS provider was found (TF_PLUGIN_MIRROR can name one), and terraform init "
                f"could not fetch it:\n{failed}"
            ) from failed

    def plan(self, folder, *variables, server=None, codes=(0,)):
        """A plan as data, and whether it changes anything."""
        out = self.dir / folder / "saved.plan"
        code, text = self.run(folder, "plan", "-detailed-exitcode", f"-out={out}", *variables, server=server, codes=codes)
        _, shown = self.run(folder, "show", "-json", str(out), server=server)
        return code, json.loads(shown[shown.index("{"):]), text

    def override(self, folder, text):
        (self.dir / folder / "test_override.tf").write_text(text)

    def let_destroy(self):
        for module, resources in KEPT.items():
            blocks = ['resource "%s" "%s" {\n  lifecycle {\n    prevent_destroy = false\n  }\n}\n' % tuple(name.split(".")) for name in resources]
            self.override(f"terraform/{module}", "\n".join(blocks))
