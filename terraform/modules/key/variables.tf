# What decides who may do what with the key. Principals are full ARNs of IAM roles and users: no
# wildcard, no account root (to name it would hand the key's policy to every IAM policy of the
# account), and no principal in two places.

variable "deployment" {
  description = "The manifest's `deployment`: part of the only encryption context under which the key decrypts."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,63}$", var.deployment))
    error_message = "deployment: write it as in manifest.toml: 1 to 64 of a-z, 0-9, dot, hyphen and underscore, not beginning with a sign."
  }
}

variable "vault" {
  description = "The manifest's `vault`: part of the only encryption context under which the key decrypts."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{0,63}$", var.vault))
    error_message = "vault: write it as in manifest.toml: 1 to 64 of a-z, 0-9, dot, hyphen and underscore, not beginning with a sign."
  }
}

variable "administrators" {
  description = "Roles or users that keep the key: its policy, rotation, tags, deletion. They cannot decrypt, but whoever may put the policy can reopen the key: name few, and watch them (module alarms). Whoever runs Terraform must be one of them, or KMS refuses the policy that would lock its author out."
  type        = set(string)

  validation {
    condition     = length(var.administrators) > 0
    error_message = "administrators: name at least one; a key that nobody keeps can be mended by AWS support only."
  }

  validation {
    condition     = alltrue([for arn in var.administrators : can(regex("^arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "administrators: each must be the ARN of one role or user; neither a wildcard nor the account's root is taken."
  }
}

variable "break_glass" {
  description = "Roles or users that may put the key's policy when every administrator is lost, and only in a session with MFA. They are watched like administrators. Empty: there is no way around the administrators."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.break_glass : can(regex("^arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "break_glass: each must be the ARN of one role or user; neither a wildcard nor the account's root is taken."
  }

  validation {
    condition     = length(setintersection(var.break_glass, var.administrators)) == 0
    error_message = "break_glass: an administrator is no way around the administrators; name another principal."
  }
}

variable "auditors" {
  description = "Roles or users that may read the key, its policy and its grants, and nothing else."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.auditors : can(regex("^arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:(role|user)/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "auditors: each must be the ARN of one role or user; neither a wildcard nor the account's root is taken."
  }

  validation {
    condition     = length(setintersection(var.auditors, setunion(var.administrators, var.break_glass))) == 0
    error_message = "auditors: who may change the key does not audit it; name another principal."
  }
}

variable "appliance_roles" {
  description = "The roles of the hosts whose enclaves open the vault: `role_arn` of module appliance. A role must exist before the policy names it, and if it is made anew the policy must be put anew: KMS remembers the role by its unique id."
  type        = set(string)

  validation {
    condition     = length(var.appliance_roles) > 0
    error_message = "appliance_roles: name the role of the hosts; without one nobody could ever open the vault."
  }

  validation {
    condition     = alltrue([for arn in var.appliance_roles : can(regex("^arn:aws(-us-gov|-cn)?:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$", arn))])
    error_message = "appliance_roles: each must be the ARN of one role; neither a user nor a wildcard nor the account's root is taken."
  }

  validation {
    condition     = length(setintersection(var.appliance_roles, setunion(var.administrators, var.break_glass, var.auditors))) == 0
    error_message = "appliance_roles: the host's role must not be an administrator, break-glass or an auditor: a stolen host would keep its own key."
  }
}

variable "measurement_sets" {
  description = "What may open the vault: each an image (pcr0) with one manifest (pcr16, printed by `nitro-signer manifest hash`), and optionally the host's role (pcr3) and the image's signer (pcr8). None here and none in `images`: a closed key."
  type = list(object({
    pcr0  = string
    pcr16 = string
    pcr3  = optional(string)
    pcr8  = optional(string)
  }))
  default = []

  validation {
    condition = alltrue(flatten([
      for set in var.measurement_sets : [for value in values(set) : can(regex("^[0-9a-f]{96}$", value)) if value != null]
    ]))
    error_message = "measurement_sets: a register is 96 lower-case hex digits. KMS compares what is written here; upper case is refused because other conditions than ours would never match it."
  }

  validation {
    condition = alltrue(flatten([
      for set in var.measurement_sets : [for value in values(set) : !can(regex("^0+$", value)) if value != null]
    ]))
    error_message = "measurement_sets: a register of zeros is what an enclave in debug mode shows, whose memory its host can read."
  }
}

variable "images" {
  description = "The same from files: `measurements` is the text of measurements.json (`file(\"measurements.json\")`), of which `version` or `index` chooses an image (neither is needed for a file of one); `pcr16` belongs to the manifest that this image runs. PCR8 is taken where the file lists it."
  type = list(object({
    measurements = string
    version      = optional(string)
    index        = optional(number)
    pcr16        = string
    pcr3         = optional(string)
  }))
  default = []

  validation {
    condition     = alltrue([for image in var.images : can(keys(jsondecode(image.measurements)))])
    error_message = "images: measurements is no JSON object; give the file's text, by file(\"measurements.json\")."
  }

  validation {
    condition     = alltrue([for image in var.images : image.version == null || image.index == null])
    error_message = "images: choose an image by version or by index, not by both."
  }
}

variable "vault_creation" {
  description = "Whether the listed enclaves may also make a vault (GenerateDataKey). True for the first deployment, until the vault is made; then false."
  type        = bool
  default     = false
}

variable "multi_region" {
  description = "Whether the key can be replicated (module key/replica). It cannot be changed later. Each replica has a policy, grants and administrators of its own, which nobody sees from here; the enclave refuses such a key unless its manifest names the exception."
  type        = bool
  default     = false
}

variable "imported_material" {
  description = "Whether the key's material comes from outside, to be imported by an administrator with the CLI (never through Terraform, whose state would keep it). Leave it off: whoever made the material can open every vault under the key, without KMS and without a trace; KMS does not rotate it; the enclave refuses such a key unless its manifest names the exception. It cannot be changed later."
  type        = bool
  default     = false
}

variable "deletion_window_in_days" {
  description = "Days between ScheduleKeyDeletion and the loss of the key, and with it of every vault under it. The longest is the default: it is the time in which somebody can notice."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_in_days >= 7 && var.deletion_window_in_days <= 30 && floor(var.deletion_window_in_days) == var.deletion_window_in_days
    error_message = "deletion_window_in_days: KMS takes 7 to 30 whole days."
  }
}

variable "rotation_period_in_days" {
  description = "Days between rotations of the key's material. Old vaults open as before; an imported key is not rotated."
  type        = number
  default     = 365

  validation {
    condition     = var.rotation_period_in_days >= 90 && var.rotation_period_in_days <= 2560 && floor(var.rotation_period_in_days) == var.rotation_period_in_days
    error_message = "rotation_period_in_days: KMS takes 90 to 2560 whole days."
  }
}

variable "alias" {
  description = "A name for people, without `alias/`. By default nitro-signer/DEPLOYMENT/VAULT, with hyphens for dots. Nothing decides by it: manifest and policies name the key's ARN."
  type        = string
  default     = null

  validation {
    condition     = var.alias == null || can(regex("^[A-Za-z0-9/_-]{1,250}$", var.alias)) && !can(regex("^(aws|alias)/", var.alias))
    error_message = "alias: letters, digits, slash, hyphen and underscore, without the prefix alias/, and not beginning with aws/."
  }
}

variable "tags" {
  description = "Tags of the key. They are no secret and decide nothing."
  type        = map(string)
  default     = {}
}
