# Every variant of module key side by side, for moto's server: what is read back from there is compared
# with modules/key/tests/expected.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }
}

provider "aws" {
  region = "eu-central-1"
}

provider "aws" {
  alias  = "replica"
  region = "eu-west-1"
}

variable "opened" {
  description = "Whether the first key has its measurement set already: it is made without one, then the policy is put."
  type        = bool
}

variable "replicated" {
  description = "Whether the multi-region key has its replica. Last: moto then forgets which of the two is the primary."
  type        = bool
}

locals {
  administrators  = ["arn:aws:iam::111122223333:role/KeyAdministrator"]
  appliance_roles = ["arn:aws:iam::111122223333:role/nitro-signer"]
  hex             = { for digits in ["1a", "2b", "3c", "4d", "5e", "0f"] : digits => join("", [for i in range(48) : digits]) }
  set             = { pcr0 = local.hex["1a"], pcr16 = local.hex["2b"] }
}

module "closed_then_opened" {
  source = "../../../terraform/modules/key"

  deployment       = "treasury"
  vault            = "main"
  alias            = "closed-then-opened"
  administrators   = local.administrators
  appliance_roles  = local.appliance_roles
  measurement_sets = var.opened ? [local.set] : []
}

module "two_sets" {
  source = "../../../terraform/modules/key"

  deployment      = "treasury"
  vault           = "main"
  alias           = "two-sets"
  administrators  = ["arn:aws:iam::111122223333:user/ada", "arn:aws:iam::111122223333:role/KeyAdministrator"]
  break_glass     = ["arn:aws:iam::111122223333:role/BreakGlass"]
  auditors        = ["arn:aws:iam::444455556666:role/Auditor"]
  appliance_roles = ["arn:aws:iam::111122223333:role/nitro-signer-standby", "arn:aws:iam::111122223333:role/nitro-signer"]
  vault_creation  = true

  measurement_sets = [
    { pcr0 = local.hex["4d"], pcr16 = local.hex["2b"], pcr3 = local.hex["5e"], pcr8 = local.hex["3c"] },
    { pcr0 = local.hex["1a"], pcr16 = local.hex["0f"], pcr3 = local.hex["5e"], pcr8 = local.hex["1a"] },
  ]
}

module "multi_region" {
  source = "../../../terraform/modules/key"

  deployment       = "treasury"
  vault            = "main"
  alias            = "multi-region"
  administrators   = local.administrators
  appliance_roles  = local.appliance_roles
  multi_region     = true
  measurement_sets = [local.set]
}

module "replica" {
  source    = "../../../terraform/modules/key/replica"
  count     = var.replicated ? 1 : 0
  providers = { aws = aws.replica }

  primary_key_arn = module.multi_region.arn
  policy          = module.multi_region.policy
  # moto gives a replica the primary's aliases; KMS does not.
  alias = "alias/replica"
}

module "imported" {
  source = "../../../terraform/modules/key"

  deployment        = "treasury"
  vault             = "main"
  alias             = "imported"
  administrators    = local.administrators
  appliance_roles   = local.appliance_roles
  imported_material = true
  measurement_sets  = [local.set]
}

output "keys" {
  value = {
    closed_then_opened = module.closed_then_opened.arn
    two_sets           = module.two_sets.arn
    multi_region       = module.multi_region.arn
    replica            = one(module.replica[*].arn)
    imported           = module.imported.arn
  }
}
