# What is watched, and who is told. It belongs into the account of the vault's key: there CloudTrail
# records every use of it, whoever calls.

variable "name" {
  description = "What the names of everything begin with."
  type        = string
  default     = "nitro-signer"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,39}$", var.name))
    error_message = "name: 2 to 40 of a-z, 0-9 and hyphen, beginning with a letter."
  }
}

variable "key_arns" {
  description = "The watched keys: `arn` of module key, and of its replicas. All in this account; in any region."
  type        = list(string)

  validation {
    condition     = length(var.key_arns) > 0 && alltrue([for arn in var.key_arns : can(regex("^arn:aws(-us-gov|-cn)?:kms:[a-z0-9-]+:[0-9]{12}:key/[0-9a-z-]+$", arn))])
    error_message = "key_arns: name at least one KMS key by its full ARN; an alias is not taken."
  }

  validation {
    condition     = length(distinct([for arn in var.key_arns : try(split(":", arn)[4], "")])) <= 1
    error_message = "key_arns: a key is watched in its own account; call this module once in each."
  }

  # CloudWatch has 100 metric filters to a log group.
  validation {
    condition     = length(var.key_arns) <= 5
    error_message = "key_arns: at most 5 keys; call this module again, with another trail, for more."
  }
}

variable "manifest_hashes" {
  description = "Hashes of the manifests that may run, as `nitro-signer manifest hash` prints them: the enclave puts `nitro-signer/HASH/BOOT` into the user agent of its calls, because CloudTrail shows no PCR16. Empty (a closed key): every use of the key is an alarm."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.manifest_hashes) <= 4 && alltrue([for hash in var.manifest_hashes : can(regex("^[0-9a-f]{96}$", hash))])
    error_message = "manifest_hashes: at most 4, each 96 lower-case hex digits; the manifest's hash, not PCR16."
  }
}

variable "image_digests" {
  description = "PCR0 of the images that may run, as in `measurement_sets` of module key: a call with another one is an alarm, whatever the key's policy says by then. Empty: only a digest of zeros is."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.image_digests) <= 4 && alltrue([for digest in var.image_digests : can(regex("^[0-9a-f]{96}$", digest)) && !can(regex("^0+$", digest))])
    error_message = "image_digests: at most 4, each 96 lower-case hex digits other than zeros."
  }
}

variable "administrators" {
  description = "Roles or users that keep the key by which trail and topic are encrypted."
  type        = set(string)

  validation {
    condition     = length(var.administrators) > 0 && alltrue([for arn in var.administrators : can(regex("^arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "administrators: name at least one; each must be the ARN of one role or user; neither a wildcard nor the account's root is taken."
  }
}

variable "watched_principals" {
  description = "Administrators and break-glass principals of the watched keys, by a name of your own: any use of them is an alarm."
  type        = map(string)

  validation {
    condition     = length(var.watched_principals) > 0 && alltrue([for name, arn in var.watched_principals : can(regex("^[A-Za-z0-9-]{1,40}$", name)) && can(regex("^arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "watched_principals: name at least one, as letters, digits and hyphens = the ARN of one role or user."
  }
}

variable "emails" {
  description = "Who is told by e-mail. Each must confirm the subscription. Pagers and chats subscribe to the topic by themselves."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for address in var.emails : can(regex("^[^@ ]+@[^@ ]+$", address))])
    error_message = "emails: each must be an e-mail address."
  }
}

variable "trail_bucket" {
  description = "Name of the bucket to make for CloudTrail's files; null with `existing_trail_log_group`."
  type        = string
  default     = null

  validation {
    condition     = var.trail_bucket == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.trail_bucket))
    error_message = "trail_bucket: 3 to 63 of a-z, 0-9 and hyphen."
  }

  validation {
    condition     = (var.trail_bucket == null) != (var.existing_trail_log_group == null)
    error_message = "trail_bucket: give it for a new trail, or existing_trail_log_group for one that you have; not both."
  }
}

variable "existing_trail_log_group" {
  description = "Name of the CloudWatch log group of a trail that exists. It must record read and write management events of all regions, and must not leave out KMS."
  type        = string
  default     = null

  validation {
    condition     = var.existing_trail_log_group == null || can(regex("^[A-Za-z0-9/._#-]{1,512}$", var.existing_trail_log_group))
    error_message = "existing_trail_log_group: the log group's name, not its ARN."
  }
}

variable "data_event_buckets" {
  description = "ARNs of buckets whose reads and writes the new trail records: `bucket_arn` of module appliance."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.data_event_buckets : can(regex("^arn:aws(-us-gov|-cn)?:s3:::[a-z0-9.-]+$", arn))])
    error_message = "data_event_buckets: each must be a bucket's ARN."
  }
}

variable "metrics" {
  description = "`metrics` of module appliance: where the parents' metrics are. Null: their alarms are left out."
  type = object({
    namespace  = string
    deployment = string
    vault      = string
  })
  default = null
}

variable "thresholds" {
  description = "Refusals by policy and failures to authenticate that are tolerated in five minutes, and days before a certificate's end."
  type = object({
    refusals                = optional(number, 10)
    authentication_failures = optional(number, 10)
    certificate_days        = optional(number, 21)
  })
  default = {}

  validation {
    condition     = var.thresholds.refusals >= 0 && var.thresholds.authentication_failures >= 0 && var.thresholds.certificate_days >= 1
    error_message = "thresholds: refusals and authentication_failures from 0, certificate_days from 1."
  }
}

variable "log_retention_in_days" {
  description = "How long the new trail's log group is kept; its files in the bucket are kept for ever."
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
