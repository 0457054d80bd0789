# A replica of a multi-region key, in the region of the provider that the caller hands in. A replica
# has a policy of its own, and KMS does not copy changes to it: this one is given the primary's, text
# for text, so that it is neither weaker nor forgotten.

resource "aws_kms_replica_key" "this" {
  count = var.imported_material ? 0 : 1

  description                        = var.description
  primary_key_arn                    = var.primary_key_arn
  policy                             = var.policy
  bypass_policy_lockout_safety_check = false
  deletion_window_in_days            = var.deletion_window_in_days
  tags                               = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

# Material must be imported here, too: KMS copies it to no replica.
resource "aws_kms_replica_external_key" "this" {
  count = var.imported_material ? 1 : 0

  description                        = var.description
  primary_key_arn                    = var.primary_key_arn
  policy                             = var.policy
  bypass_policy_lockout_safety_check = false
  deletion_window_in_days            = var.deletion_window_in_days
  tags                               = var.tags

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_kms_alias" "this" {
  name          = var.alias
  target_key_id = local.key_id
}

locals {
  arn    = one(concat(aws_kms_replica_key.this[*].arn, aws_kms_replica_external_key.this[*].arn))
  key_id = one(concat(aws_kms_replica_key.this[*].id, aws_kms_replica_external_key.this[*].id))
}
