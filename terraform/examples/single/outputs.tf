output "key_arn" {
  description = "For `wrapping_keys` in manifest.toml."
  value       = module.key.arn
}

output "key_policy" {
  description = "For `nitro-signer key-policy lint`."
  value       = module.key.policy
}

output "address" {
  description = "Where clients connect."
  value       = one([for host in aws_instance.host : "https://${host.private_dns}:${module.appliance.https_port}"])
}

output "alarms" {
  description = "What is watched."
  value       = module.alarms.alarms
}

output "topic_arn" {
  description = "The topic of the alarms."
  value       = module.alarms.topic_arn
}
