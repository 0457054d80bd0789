# Who is told, and the key by which topic and trail are encrypted.

data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  arn        = "arn:${data.aws_partition.here.partition}"
  region     = data.aws_region.here.name
  account_id = split(":", var.key_arns[0])[4]
  trail_arn  = "${local.arn}:cloudtrail:${local.region}:${local.account_id}:trail/${var.name}"
  log_group  = var.existing_trail_log_group == null ? "/nitro-signer/${var.name}/trail" : var.existing_trail_log_group
}

resource "aws_kms_key" "watch" {
  description                        = "nitro-signer: trail and alarms"
  enable_key_rotation                = true
  deletion_window_in_days            = 30
  bypass_policy_lockout_safety_check = false
  tags                               = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Administration"
        Effect    = "Allow"
        Principal = { AWS = sort(var.administrators) }
        Action = [
          "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListKeyPolicies", "kms:ListGrants",
          "kms:ListResourceTags", "kms:GetKeyRotationStatus", "kms:PutKeyPolicy",
          "kms:UpdateKeyDescription", "kms:EnableKeyRotation", "kms:EnableKey", "kms:DisableKey",
          "kms:TagResource", "kms:UntagResource", "kms:CreateAlias", "kms:UpdateAlias",
          "kms:DeleteAlias", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion", "kms:RevokeGrant",
          # Who keeps the trail reads it.
          "kms:Decrypt",
        ]
        Resource = "*"
      },
      {
        Sid       = "TrailWrites"
        Effect    = "Allow"
        Principal = { Service = "cloudtrail.amazonaws.com" }
        Action    = ["kms:GenerateDataKey", "kms:DescribeKey"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceArn" = local.trail_arn } }
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncryptFrom", "kms:ReEncryptTo", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:DescribeKey"]
        Resource  = "*"
        Condition = { ArnEquals = { "kms:EncryptionContext:aws:logs:arn" = "${local.arn}:logs:${local.region}:${local.account_id}:log-group:${local.log_group}" } }
      },
      # Without conditions, as SNS's guide has it for encrypted topics: a condition that one of the
      # services does not fill would silence every alarm.
      {
        Sid       = "Publishers"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com"] }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = "*"
      },
    ]
  })
}

resource "aws_kms_alias" "watch" {
  name          = "alias/${var.name}-watch"
  target_key_id = aws_kms_key.watch.key_id
}

resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = aws_kms_key.watch.arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "alarms" {
  arn = aws_sns_topic.alarms.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Alarms"
        Effect    = "Allow"
        Principal = { Service = "cloudwatch.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      # EventBridge's guide gives none for topics. Another account's rule could only ring.
      {
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.alarms.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}

resource "aws_sns_topic_subscription" "emails" {
  for_each = var.emails

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.value
}
