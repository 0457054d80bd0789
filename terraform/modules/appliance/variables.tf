# The host of the enclave. Nothing here can loosen what the enclave allows; what it decides is
# whether the appliance is up, and how little a stolen host can reach.

variable "name" {
  description = "Name of the role, the security groups and the rest, and what their names begin with. The role's ARN stands in the KMS key's policy (and in PCR3): choose it for good."
  type        = string
  default     = "nitro-signer"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,39}$", var.name))
    error_message = "name: 2 to 40 of a-z, 0-9 and hyphen, beginning with a letter."
  }
}

variable "deployment" {
  description = "The manifest's `deployment`: names the store's folder and the metrics."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,63}$", var.deployment))
    error_message = "deployment: write it as in manifest.toml: 1 to 64 of a-z, 0-9, dot, hyphen and underscore, not beginning with a sign."
  }
}

variable "vault" {
  description = "The manifest's `vault`: names the store's folder and the metrics."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,63}$", var.vault))
    error_message = "vault: write it as in manifest.toml: 1 to 64 of a-z, 0-9, dot, hyphen and underscore, not beginning with a sign."
  }
}

variable "administrators" {
  description = "Roles or users that keep the key by which the store and the logs are encrypted. They cannot decrypt with it."
  type        = set(string)

  validation {
    condition     = length(var.administrators) > 0 && alltrue([for arn in var.administrators : can(regex("^arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "administrators: name at least one; each must be the ARN of one role or user; neither a wildcard nor the account's root is taken."
  }
}

variable "vault_key_arns" {
  description = "`arn` of module key: the only keys that the KMS endpoint lets the hosts use. The host's IAM role gets no right on them: the key's own policy names the role."
  type        = list(string)

  validation {
    condition     = length(var.vault_key_arns) > 0 && alltrue([for arn in var.vault_key_arns : can(regex("^arn:aws(-us-gov|-cn)?:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-z-]+$", arn))])
    error_message = "vault_key_arns: name at least one KMS key by its full ARN; an alias is not taken."
  }
}

variable "permissions_boundary" {
  description = "ARN of a permissions boundary for the role, where the account asks for one."
  type        = string
  default     = null
}

# --- the network ---

variable "vpc_id" {
  description = "The VPC. It needs DNS support and DNS host names, for the private name of KMS."
  type        = string

  validation {
    condition     = can(regex("^vpc-[0-9a-f]{8,17}$", var.vpc_id))
    error_message = "vpc_id: it begins with vpc-."
  }
}

variable "subnet_ids" {
  description = "Private subnets for the interface endpoints, at most one in a zone. They need no route to the internet."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : can(regex("^subnet-[0-9a-f]{8,17}$", id))])
    error_message = "subnet_ids: name at least one; each begins with subnet-."
  }
}

variable "route_table_ids" {
  description = "Route tables of these subnets, for the gateway endpoint of S3."
  type        = list(string)

  validation {
    condition     = alltrue([for id in var.route_table_ids : can(regex("^rtb-[0-9a-f]{8,17}$", id))])
    error_message = "route_table_ids: each begins with rtb-."
  }
}

variable "existing_endpoints" {
  description = "Endpoints that the VPC already has for KMS (and logs, if `metrics`) and S3, instead of new ones; a VPC takes one of each with private DNS. Their policies are then yours: see README.md."
  type = object({
    security_group_id = string
    s3_prefix_list_id = string
  })
  default = null
}

variable "clients" {
  description = "Security groups that may open the HTTPS port, by a name of your own: the backend's, or the load balancer's."
  type        = map(string)

  validation {
    condition     = alltrue([for id in values(var.clients) : can(regex("^sg-[0-9a-f]{8,17}$", id))])
    error_message = "clients: each must be a security group's id, which begins with sg-; address ranges are not taken."
  }
}

variable "monitors" {
  description = "Security groups that may open the port of probes and metrics, by a name of your own: Prometheus', or the load balancer's for its health check. Empty: the port is bound to loopback."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for id in values(var.monitors) : can(regex("^sg-[0-9a-f]{8,17}$", id))])
    error_message = "monitors: each must be a security group's id, which begins with sg-; address ranges are not taken."
  }
}

# --- the store ---

variable "bucket" {
  description = "Name of the bucket to make for vault and sealed keys."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: 3 to 63 of a-z, 0-9 and hyphen."
  }
}

# --- the host ---

variable "ami_id" {
  description = "The Amazon Linux 2023 image of the host, for x86-64. By its id: an image that moves by itself would be somebody else's release."
  type        = string

  validation {
    condition     = can(regex("^ami-[0-9a-f]{8,17}$", var.ami_id))
    error_message = "ami_id: it begins with ami-."
  }
}

variable "instance_type" {
  description = "The host's type: x86-64, virtualized on Nitro, with at least 4 vCPUs, of which the enclave takes `enclave.cpu_count`."
  type        = string
  default     = "m6i.xlarge"

  validation {
    condition     = can(regex("^[a-z]+[0-9]+[a-z-]*[.]([0-9]+)?xlarge$", var.instance_type))
    error_message = "instance_type: an enclave needs 4 vCPUs on x86-64, which begin with xlarge, and no bare metal: there is no hypervisor on it that could isolate an enclave."
  }

  validation {
    condition     = !can(regex("^(t[0-9]|u-|vt|trn|mac|[a-z]+[0-9]+[a-z-]*flex)", var.instance_type))
    error_message = "instance_type: burstable, flex and accelerator types cannot run enclaves."
  }

  validation {
    condition     = !can(regex("^(a1|[a-z]+[0-9]+g)", var.instance_type))
    error_message = "instance_type: the enclave's image is for x86-64; this type has Graviton processors."
  }
}

variable "enclave" {
  description = "What the enclave gets of the host: memory in MiB and vCPUs, whole cores of two threads."
  type = object({
    memory_mib = optional(number, 256)
    cpu_count  = optional(number, 2)
  })
  default = {}

  validation {
    condition     = var.enclave.memory_mib >= 256 && floor(var.enclave.memory_mib / 2) * 2 == var.enclave.memory_mib
    error_message = "enclave: memory_mib must be even and at least 256: the image and some thousand keys need that much."
  }

  validation {
    condition     = contains([2, 4, 6, 8], var.enclave.cpu_count)
    error_message = "enclave: cpu_count must be 2, 4, 6 or 8: an enclave gets whole cores."
  }
}

variable "chain_id" {
  description = "The chain that `/` serves; without it every chain."
  type        = number
  default     = null

  validation {
    condition     = var.chain_id == null || try(var.chain_id > 0 && floor(var.chain_id) == var.chain_id, false)
    error_message = "chain_id: a whole number above 0."
  }
}

variable "root_volume_gib" {
  description = "Size of the encrypted root volume."
  type        = number
  default     = 16

  validation {
    condition     = var.root_volume_gib >= 8 && var.root_volume_gib <= 1024
    error_message = "root_volume_gib: 8 to 1024."
  }
}

variable "release" {
  description = "What is installed, each file as an object of a bucket of yours and its SHA-256: the host checks all of them before it installs any. Null, as long as there is no manifest yet: everything but the launch template is made."
  type = object({
    bucket      = string
    kms_key_arn = optional(string)
    files = object({
      nitro_signer       = object({ key = string, sha256 = string })
      enclave_eif        = object({ key = string, sha256 = string })
      measurements       = object({ key = string, sha256 = string })
      manifest           = object({ key = string, sha256 = string })
      server_certificate = object({ key = string, sha256 = string })
      server_key         = object({ key = string, sha256 = string })
      client_ca          = object({ key = string, sha256 = string })
    })
  })
  default = null

  validation {
    condition     = var.release == null || alltrue([for file in values(try(var.release.files, {})) : can(regex("^[0-9a-f]{64}$", file.sha256))])
    error_message = "release: each sha256 is 64 lower-case hex digits, as sha256sum prints it."
  }

  # They stand in a shell script.
  validation {
    condition     = var.release == null || alltrue([for file in values(try(var.release.files, {})) : can(regex("^[A-Za-z0-9][A-Za-z0-9/._-]{0,999}$", file.key))])
    error_message = "release: each key is up to 1000 letters, digits, slashes, dots, hyphens and underscores."
  }

  validation {
    condition     = var.release == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.release.bucket))
    error_message = "release: bucket is no bucket's name."
  }

  validation {
    condition     = try(var.release.bucket, null) != var.bucket
    error_message = "release: the hosts write to the store's bucket; releases need one that they only read."
  }
}

variable "metrics" {
  description = "Whether the hosts run Amazon's CloudWatch agent, which brings the parent's metrics to CloudWatch, where module alarms watches them."
  type        = bool
  default     = true
}

variable "log_retention_in_days" {
  description = "How long the metrics' log is kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_in_days)
    error_message = "log_retention_in_days: one of the terms that CloudWatch has, from a year: 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653."
  }
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
