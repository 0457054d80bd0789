# The key. Its policy is given as it is made, so that no moment passes under KMS's default policy,
# which delegates to the whole account. prevent_destroy stands because the key's loss is the loss of
# every vault under it; a deployment that really ends overrides it (README.md, "The end").

resource "aws_kms_key" "this" {
  count = var.imported_material ? 0 : 1

  description                        = "nitro-signer: vault ${var.vault} of ${var.deployment}"
  policy                             = local.policy
  bypass_policy_lockout_safety_check = false
  deletion_window_in_days            = var.deletion_window_in_days
  enable_key_rotation                = true
  rotation_period_in_days            = var.rotation_period_in_days
  multi_region                       = var.multi_region
  tags                               = var.tags

  depends_on = [terraform_data.terms]

  lifecycle {
    prevent_destroy = true
  }
}

# Made without material, which an administrator imports by the CLI: what passes through Terraform
# stays in its state.
resource "aws_kms_external_key" "this" {
  count = var.imported_material ? 1 : 0

  description                        = "nitro-signer: vault ${var.vault} of ${var.deployment} (imported material)"
  policy                             = local.policy
  bypass_policy_lockout_safety_check = false
  deletion_window_in_days            = var.deletion_window_in_days
  multi_region                       = var.multi_region
  tags                               = var.tags

  depends_on = [terraform_data.terms]

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "this" {
  name          = "alias/${coalesce(var.alias, replace("nitro-signer/${var.deployment}/${var.vault}", ".", "-"))}"
  target_key_id = local.key_id
}

locals {
  arn    = one(concat(aws_kms_key.this[*].arn, aws_kms_external_key.this[*].arn))
  key_id = one(concat(aws_kms_key.this[*].id, aws_kms_external_key.this[*].id))
}
