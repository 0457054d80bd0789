# Who reaches the hosts, and what they reach: KMS, S3 and, for metrics, CloudWatch's logs, each by an
# endpoint in the VPC. There is no route and no rule to anywhere else. Name service, time and instance
# metadata of the VPC need no rule.

locals {
  endpoints       = var.existing_endpoints == null ? 1 : 0
  endpoint_group  = var.existing_endpoints == null ? one(aws_security_group.endpoints[*].id) : var.existing_endpoints.security_group_id
  s3_prefix_list  = var.existing_endpoints == null ? one(aws_vpc_endpoint.s3[*].prefix_list_id) : var.existing_endpoints.s3_prefix_list_id
  https_port      = 8443
  ops_port        = 9464
  only_hosts      = { ArnEquals = { "aws:PrincipalArn" = aws_iam_role.this.arn } }
  release_objects = var.release == null ? [] : [for file in values(var.release.files) : "${local.arn}:s3:::${var.release.bucket}/${file.key}"]
}

resource "aws_security_group" "hosts" {
  #checkov:skip=CKV2_AWS_5:attached by the launch template's network interface
  name        = "${var.name}-hosts"
  description = "Hosts of nitro-signer"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-hosts" })
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.clients

  security_group_id            = aws_security_group.hosts.id
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.https_port
  to_port                      = local.https_port
  description                  = "HTTPS from ${each.key}"
}

resource "aws_vpc_security_group_ingress_rule" "monitors" {
  for_each = var.monitors

  security_group_id            = aws_security_group.hosts.id
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.ops_port
  to_port                      = local.ops_port
  description                  = "Probes and metrics from ${each.key}"
}

resource "aws_vpc_security_group_egress_rule" "endpoints" {
  security_group_id            = aws_security_group.hosts.id
  referenced_security_group_id = local.endpoint_group
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  description                  = "Endpoints of the VPC"
}

resource "aws_vpc_security_group_egress_rule" "s3" {
  security_group_id = aws_security_group.hosts.id
  prefix_list_id    = local.s3_prefix_list
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  description       = "S3 by its gateway endpoint"
}

resource "aws_security_group" "endpoints" {
  #checkov:skip=CKV2_AWS_5:attached to the interface endpoints below
  count = local.endpoints

  name        = "${var.name}-endpoints"
  description = "Interface endpoints for the hosts of nitro-signer"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-endpoints" })
}

resource "aws_vpc_security_group_ingress_rule" "endpoints" {
  count = local.endpoints

  security_group_id            = aws_security_group.endpoints[0].id
  referenced_security_group_id = aws_security_group.hosts.id
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  description                  = "Hosts of nitro-signer"
}

# Private DNS: the parent's relay dials kms.REGION.amazonaws.com, the one name that the enclave takes.
resource "aws_vpc_endpoint" "kms" {
  count = local.endpoints

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${data.aws_region.here.name}.kms"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true
  tags                = merge(var.tags, { Name = "${var.name}-kms" })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "VaultKeys"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey", "kms:GetKeyPolicy", "kms:ListGrants"]
      Resource  = sort(var.vault_key_arns)
      Condition = local.only_hosts
    }]
  })
}

resource "aws_vpc_endpoint" "s3" {
  count = local.endpoints

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${data.aws_region.here.name}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  tags              = merge(var.tags, { Name = "${var.name}-s3" })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "Store"
          Effect    = "Allow"
          Principal = "*"
          Action    = ["s3:ListBucket", "s3:GetObject", "s3:PutObject"]
          Resource  = ["${local.arn}:s3:::${var.bucket}", "${local.arn}:s3:::${var.bucket}/${local.prefix}/*"]
          Condition = local.only_hosts
        },
        # Amazon Linux's packages are fetched without a signature of ours; dnf checks theirs.
        {
          Sid       = "Packages"
          Effect    = "Allow"
          Principal = "*"
          Action    = ["s3:GetObject"]
          Resource  = ["${local.arn}:s3:::al2023-repos-${data.aws_region.here.name}-de612dc2/*"]
        },
      ],
      [for objects in [local.release_objects] : {
        Sid       = "Release"
        Effect    = "Allow"
        Principal = "*"
        Action    = ["s3:GetObject"]
        Resource  = objects
        Condition = local.only_hosts
      } if length(objects) > 0],
    )
  })
}

resource "aws_vpc_endpoint" "logs" {
  count = var.metrics ? local.endpoints : 0

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${data.aws_region.here.name}.logs"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.endpoints[0].id]
  private_dns_enabled = true
  tags                = merge(var.tags, { Name = "${var.name}-logs" })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Metrics"
      Effect    = "Allow"
      Principal = "*"
      Action    = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource  = [aws_cloudwatch_log_group.metrics[0].arn, "${aws_cloudwatch_log_group.metrics[0].arn}:*"]
      Condition = local.only_hosts
    }]
  })
}
