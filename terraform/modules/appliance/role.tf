# What the host may do in AWS: read its release, create and read the store's objects, write its
# metrics. Nothing on the vault's key: that key's policy names the role, and an IAM policy could only
# add to it. No Session Manager, no shell from outside.

data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  arn = "arn:${data.aws_partition.here.partition}"
  # Of the role itself: no other call is needed to know it.
  account_id = split(":", aws_iam_role.this.arn)[4]
}

resource "aws_iam_role" "this" {
  name                 = var.name
  description          = "Hosts of nitro-signer, vault ${var.vault} of ${var.deployment}"
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.${data.aws_partition.here.dns_suffix}" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_instance_profile" "this" {
  name = var.name
  role = aws_iam_role.this.name
  tags = var.tags
}

resource "aws_iam_role_policy" "store" {
  name = "store"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "List"
        Effect    = "Allow"
        Action    = ["s3:ListBucket"]
        Resource  = aws_s3_bucket.store.arn
        Condition = { StringLike = { "s3:prefix" = ["${local.prefix}/*"] } }
      },
      {
        Sid      = "CreateAndRead"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject"]
        Resource = "${aws_s3_bucket.store.arn}/${local.prefix}/*"
      },
    ]
  })
}

resource "aws_iam_role_policy" "release" {
  count = var.release == null ? 0 : 1

  name = "release"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Sid      = "Read"
        Effect   = "Allow"
        Action   = ["s3:GetObject"]
        Resource = local.release_objects
      }],
      [for key in [var.release.kms_key_arn] : {
        Sid       = "DecryptByS3"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = key
        Condition = { StringEquals = { "kms:ViaService" = "s3.${data.aws_region.here.name}.amazonaws.com" } }
      } if key != null],
    )
  })
}

resource "aws_iam_role_policy" "metrics" {
  count = var.metrics ? 1 : 0

  name = "metrics"
  role = aws_iam_role.this.id

  # The agent writes metrics as log events in CloudWatch's embedded format.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "WriteMetrics"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = ["${aws_cloudwatch_log_group.metrics[0].arn}", "${aws_cloudwatch_log_group.metrics[0].arn}:*"]
    }]
  })
}

resource "aws_cloudwatch_log_group" "metrics" {
  count = var.metrics ? 1 : 0

  name              = local.log_group
  retention_in_days = var.log_retention_in_days
  kms_key_id        = aws_kms_key.store.arn
  tags              = var.tags
}
