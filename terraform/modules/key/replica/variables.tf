variable "primary_key_arn" {
  description = "`arn` of module key."
  type        = string

  validation {
    condition     = can(regex("^arn:aws(-us-gov|-cn)?:kms:[a-z0-9-]+:[0-9]{12}:key/mrk-[0-9a-f-]+$", var.primary_key_arn))
    error_message = "primary_key_arn: only a key that was made with multi_region has replicas; its id begins with mrk-."
  }
}

variable "policy" {
  description = "`policy` of module key: the replica gets exactly it."
  type        = string

  validation {
    condition     = can(jsondecode(var.policy).Statement)
    error_message = "policy: give module key's output of this name."
  }
}

variable "alias" {
  description = "`alias` of module key; an alias is known in its own region only."
  type        = string

  validation {
    condition     = can(regex("^alias/[A-Za-z0-9/_-]{1,250}$", var.alias))
    error_message = "alias: give module key's output of this name, with its prefix alias/."
  }
}

variable "imported_material" {
  description = "`imported_material` of module key."
  type        = bool
  default     = false
}

variable "description" {
  description = "What people read beside the replica."
  type        = string
  default     = "nitro-signer: replica of a vault's key"
}

variable "deletion_window_in_days" {
  description = "Days between ScheduleKeyDeletion and the replica's loss."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_in_days >= 7 && var.deletion_window_in_days <= 30 && floor(var.deletion_window_in_days) == var.deletion_window_in_days
    error_message = "deletion_window_in_days: KMS takes 7 to 30 whole days."
  }
}

variable "tags" {
  description = "Tags of the replica."
  type        = map(string)
  default     = {}
}
