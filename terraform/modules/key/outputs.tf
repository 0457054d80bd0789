output "arn" {
  description = "The key's ARN, for `wrapping_keys` in manifest.toml."
  value       = local.arn
}

output "key_id" {
  description = "The key's id."
  value       = local.key_id
}

output "alias" {
  description = "The alias, with its prefix."
  value       = aws_kms_alias.this.name
}

output "policy" {
  description = "The key's policy, as it was put: for `nitro-signer key-policy lint`, and for replicas."
  value       = local.policy
}

output "measurement_sets" {
  description = "The measurement sets that may open the vault, in the order of the policy's statements."
  value       = local.sets
}

output "imported_material" {
  description = "Whether the key's material is imported: a replica of it is, too."
  value       = var.imported_material
}
