output "role_arn" {
  description = "The hosts' role, for `appliance_roles` of module key."
  value       = aws_iam_role.this.arn
}

output "security_group_id" {
  description = "The hosts' security group."
  value       = aws_security_group.hosts.id
}

output "launch_template" {
  description = "The launch template's id and newest version; null as long as there is no release."
  value       = one([for template in aws_launch_template.this : { id = template.id, version = template.latest_version }])

  # A host that starts before it can reach its release stays without one.
  depends_on = [
    aws_iam_role_policy.release, aws_iam_role_policy.store, aws_iam_role_policy.metrics,
    aws_vpc_endpoint.kms, aws_vpc_endpoint.s3, aws_vpc_endpoint.logs, aws_vpc_security_group_ingress_rule.endpoints,
    aws_vpc_security_group_egress_rule.endpoints, aws_vpc_security_group_egress_rule.s3, aws_s3_bucket_policy.store,
  ]
}

output "https_port" {
  description = "The port for clients."
  value       = local.https_port
}

output "ops_port" {
  description = "The port of probes (/livez, /readyz) and metrics (/metrics)."
  value       = local.ops_port
}

output "bucket_arn" {
  description = "The store's bucket, for the data events of module alarms."
  value       = aws_s3_bucket.store.arn
}

output "store" {
  description = "The store's address, as it stands in parent.toml."
  value       = "s3://${aws_s3_bucket.store.id}/${local.prefix}"
}

output "metrics" {
  description = "Where the parent's metrics are in CloudWatch, for module alarms; null without metrics."
  value = !var.metrics ? null : {
    namespace  = local.namespace
    deployment = var.deployment
    vault      = var.vault
  }
}
