# What this deployment is. example.tfvars has a value for each.

variable "region" {
  description = "The region of key and hosts."
  type        = string
}

variable "name" {
  description = "What the names of everything begin with."
  type        = string
  default     = "nitro-signer"
}

variable "deployment" {
  description = "The manifest's `deployment`."
  type        = string
}

variable "vault" {
  description = "The manifest's `vault`."
  type        = string
}

variable "administrators" {
  description = "Who keeps the keys. Whoever runs this must be one of them."
  type        = set(string)
}

variable "break_glass" {
  description = "Who may put the key's policy, with MFA, when every administrator is lost."
  type        = set(string)
  default     = []
}

variable "auditors" {
  description = "Who may read the key's policy and grants."
  type        = set(string)
  default     = []
}

variable "running" {
  description = "The images that may run, each with its manifest: the image of a measurements.json (by version; null in a file of one), PCR16 and the manifest's hash, both printed by `nitro-signer manifest hash`. Empty at first: the key is closed."
  type = list(object({
    measurements_file = string
    version           = optional(string)
    pcr16             = string
    manifest_hash     = string
  }))
  default = []
}

variable "vault_creation" {
  description = "True until the vault is made."
  type        = bool
  default     = false
}

variable "release" {
  description = "What the hosts install; see module appliance. Null at first: no host is started."
  type = object({
    bucket      = string
    kms_key_arn = optional(string)
    files       = map(object({ key = string, sha256 = string }))
  })
  default = null
}

variable "vpc_id" {
  description = "The VPC, with DNS support and DNS host names."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets in two zones at least."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2
    error_message = "subnet_ids: a fleet needs two zones: name a subnet of each."
  }
}

variable "route_table_ids" {
  description = "Their route tables."
  type        = list(string)
}

variable "clients" {
  description = "Security groups of the clients, by name."
  type        = map(string)
}

variable "monitors" {
  description = "Security groups of whoever scrapes metrics, by name."
  type        = map(string)
  default     = {}
}

variable "ami_id" {
  description = "An Amazon Linux 2023 image for x86-64."
  type        = string
}

variable "instance_type" {
  description = "The hosts' type."
  type        = string
  default     = "m6i.xlarge"
}

variable "store_bucket" {
  description = "The bucket to make for vault and sealed keys."
  type        = string
}

variable "trail_bucket" {
  description = "The bucket to make for CloudTrail."
  type        = string
}

variable "emails" {
  description = "Who is told of alarms."
  type        = set(string)
  default     = []
}
